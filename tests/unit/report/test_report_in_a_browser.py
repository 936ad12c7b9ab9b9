"""The page of the report in a browser, where there is one: it opens from the disk, and its tools do what they say."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest
from patience import PATIENCE
from test_report import TRAIN, VAL, build

from wsis_steps.report.render_report import main

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

# What a person would do; each line of `said` is what is to be seen then.
VISIT = """
const said = {}, pause = () => new Promise(done => setTimeout(done, 50));
const names = () => all(".card h4").map(title => title.firstChild.textContent.trim());
const hit = key => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
async function visit() {
  while (!names().length) await pause();
  said.first = names();
  find("[data-split=train]").click(); await pause();
  said.training = names();
  find("[data-class='1']").click(); await pause();
  said.dogs = names();
  said.faint = all(".card [data-c='0']").every(part => part.classList.contains("faint"));
  find("[data-class='']").click(); await pause();
  find("[data-split=val]").click(); await pause();
  find("[data-run='0']").click(); find("[data-run='2']").click();
  said.groups = all(".card:first-child .group").filter(group => !group.hidden).map(group => group.dataset.place);
  find("[data-run='0']").click(); find("[data-run='2']").click();
  slider.value = 0; slider.oninput();
  said.counts = all(".card .count").map(note => note.textContent);
  ordering.value = "worst 1"; ordering.onchange(); await pause();
  said.ordered = names().length;
  find(".strip .look").click();
  hit("ArrowRight");
  await pause();
  said.strip = dialog.querySelector("p").textContent;
  dialog.close();
  find(".card .look").click();
  said.open = dialog.open;
  hit("ArrowRight");
  await pause();
  said.large = dialog.querySelector("p").textContent;
  dialog.close();
  said.size = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
}
visit().catch(error => { said.error = String(error); }).finally(() => {
  const note = document.createElement("pre");
  note.id = "said";
  note.textContent = JSON.stringify(said);
  document.body.append(note);
});
"""


def test_the_page_opens_and_filters_and_turns_and_enlarges(tmp_path):
    job = build(tmp_path, shown=9)
    main(job)
    page = job.outputs["page"]
    page.write_text(page.read_text(encoding="utf-8").replace("</script></body>", f"{VISIT}</script></body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=400,800", "--enable-logging=stderr"]
    command = [BROWSER, *options, f"--user-data-dir={tmp_path / 'user'}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=PATIENCE)
    assert "CONSOLE" not in done.stderr
    said = json.loads(unescape(re.search('<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL).group(1)))
    training, evaluation = [f"image{k}" for k in range(TRAIN)], [f"image{TRAIN + k}" for k in range(VAL)]
    assert said == {
        "first": evaluation,
        "training": training,
        "dogs": training[1::2],
        "faint": True,
        "groups": ["", "1"],
        "counts": ["2 of 2", "0 of 0"] * VAL,
        "ordered": VAL,
        "open": True,
        "strip": f"one: predictions on image image{TRAIN + 1}: dog 0.91, dog 0.12",
        "large": said["large"],
        "size": True,
    }
    assert said["large"].startswith("truth on image ")
