"""What is doubtful stands on top of the report; names are text, whatever they hold."""

import json

from test_report import build, open_page

from wsis_steps.report.render_report import main
from wsis_steps.report.verdicts import verdicts_html

ROW = {
    "run": "one", "stage": "labels/round00", "file": "results/d/one/labels/round00.h5", "figure": "x", "value": 0.7,
    "says": "83 of 120 <tagged> pictures have no label.", "setting": "bestie_label.min_area", "now": 50, "try": 25,
}  # fmt: skip
TAGS = {**ROW, "stage": "tags", "says": "It hardly recognizes a & b.", "setting": None}


def test_a_verdict_has_its_sentence_its_setting_and_a_link(tmp_path):
    text = verdicts_html([ROW, {**TAGS, "file": str(tmp_path / "one/classifier/tag_audit.json")}], tmp_path)
    note, first, second = text.split("<li>")
    assert "start with the earliest stage, since an error there affects all later ones." in note
    assert "83 of 120 &lt;tagged&gt; pictures have no label." in first and 'href="#images">labels/round00<' in first
    assert "Try <code>bestie_label: {min_area: 25}</code> (now 50)." in first
    assert 'href="one/classifier/tag_audit.html">tags<' in second and "a &amp; b." in second and "Try" not in second


def test_they_stand_before_the_figures_and_nothing_does_where_all_is_well(tmp_path):
    job = build(tmp_path)
    main(job)
    sound = open_page(job)
    assert "doubtful" not in [a.get("id") for a in sound.all("section")]
    for path in tmp_path.glob("report*"):
        path.rename(tmp_path / f"first_{path.name}")
    job.inputs["verdicts"].write_text(json.dumps({"verdicts": [ROW]}))
    main(job)
    page = open_page(job)
    assert [a["id"] for a in page.all("section")][:3] == ["overview", "doubtful", "figures"]
    assert "83 of 120 <tagged> pictures have no label. Try bestie_label: {min_area: 25} (now 50)." in page.text
