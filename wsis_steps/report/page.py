"""The frame of a page that opens from a disk, without a server or a network: its style, its script, its tools.

Cards of images are files beside the page, which the script loads as they are wanted: a page of 1,500 images opens as
fast as one of ten.
"""

import json
from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --back: #fbfbfa; --card: #fff; --text: #1d2127; --quiet: #5f6873; --line: #dcdfe3;
  --accent: #2563eb; --panel: 160px; }
@media (prefers-color-scheme: dark) {
  :root { --back: #131518; --card: #1b1e23; --text: #e6e8eb; --quiet: #9aa4b0; --line: #32373f; --accent: #7aa7ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 0 20px 60px; max-width: 1680px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 24px 0 4px; } h2 { font-size: 1.2rem; margin: 40px 0 8px; }
h3 { font-size: 1rem; margin: 20px 0 4px; } h4 { font-size: .92rem; margin: 0 0 6px; overflow-wrap: anywhere; }
h4 small, .note, small { color: var(--quiet); font-weight: normal; }
p { margin: 4px 0; max-width: 75ch; } a { color: var(--accent); } .note { font-size: .87rem; }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--card); max-width: 100%;
  width: fit-content; margin: 8px 0; }
table { border-collapse: collapse; font-size: .87rem; white-space: nowrap; }
caption { position: absolute; left: -9999px; }
th, td { padding: 4px 9px; text-align: left; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } th { color: var(--quiet); font-weight: 600; }
thead th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--card); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.bar { display: block; min-width: 64px; background: linear-gradient(var(--accent) 0 0) 0 100% / var(--share) 3px
  no-repeat; padding-bottom: 3px; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--accent); }
code { font-size: .82rem; white-space: normal; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 10px; }
figure { margin: 0; } .chart { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 6px 8px 2px; max-width: 420px; }
.chart svg { display: block; width: 100%; }
.chart polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.chart path.dot { stroke-width: 6; stroke-linecap: round; }
.axis path { stroke: var(--line); } .axis text { fill: var(--quiet); font-size: 10px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: .87rem; margin: 6px 0; }
.swatch { width: 20px; height: 6px; margin-right: 5px; vertical-align: middle; }
.swatch path { stroke-width: 3; }
.tools { position: sticky; top: 0; z-index: 2; background: var(--back); border-bottom: 1px solid var(--line);
  padding: 8px 0; display: grid; gap: 6px; }
.chips { display: flex; gap: 6px; overflow-x: auto; padding: 2px; align-items: center; }
.chips > b { flex: none; width: 4.5em; font-size: .82rem; color: var(--quiet); }
.chip { flex: none; font: inherit; font-size: .82rem; padding: 1px 9px; border-radius: 12px; color: inherit;
  border: 1px solid var(--line); background: none; cursor: pointer; }
.chip[aria-pressed=true] { border-color: var(--text); background: var(--card); }
.chip[data-run][aria-pressed=false] { opacity: .6; text-decoration: line-through; }
.chip i { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: 5px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; margin: 10px 0;
  content-visibility: auto; contain-intrinsic-size: auto 260px; scroll-margin-top: 130px; }
.groups { display: flex; flex-wrap: wrap; gap: 10px 18px; }
.panels { display: flex; flex-wrap: wrap; gap: 6px; }
.chips label, .chips span, .chips output { flex: none; font-size: .82rem; margin-right: 12px; }
.chips input { width: 110px; vertical-align: middle; } .chip:disabled { opacity: .4; cursor: default; }
.chips select { font: inherit; max-width: 60vw; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; padding: 1px 4px; }
.chips label output { margin: 0; } #cards { min-height: 60vh; }
h5 { margin: 0 0 3px; font-size: .8rem; font-weight: 600; } 
.panel { width: var(--panel); }
.look { display: block; width: 100%; padding: 0; border: 0; background: none; cursor: zoom-in; border-radius: 4px; }
.look svg { display: block; width: 100%; height: auto; border-radius: 4px; background: #000; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
figcaption { font-size: .78rem; color: var(--quiet); line-height: 1.3; padding-top: 3px; display: flex; flex-wrap: wrap;
  justify-content: space-between; gap: 0 6px; }
svg path.instance, svg path.region, svg path.ignore { fill-rule: evenodd; vector-effect: non-scaling-stroke;
  stroke-linejoin: round; transform: translate(.5px, .5px); }
path.instance { fill-opacity: .45; stroke-width: 1.8px; } path.region { fill-opacity: .65; stroke-width: 1px; }
path.ignore { fill: #ccc; fill-opacity: .4; stroke: #ccc; stroke-width: 1px; stroke-dasharray: 3 2; }
circle.cue { stroke: #fff; stroke-width: 1.5px; vector-effect: non-scaling-stroke; }
.look text, dialog text { font: 600 calc(6.5 * var(--unit)) system-ui, sans-serif; fill: #fff; stroke: #000b;
  stroke-width: calc(1.6 * var(--unit)); stroke-linejoin: round; paint-order: stroke; }
dialog text { font-size: calc(3.2 * var(--unit)); stroke-width: calc(.8 * var(--unit)); }
.weak, .crowded .look text { display: none; } .faint { opacity: .12; } [hidden] { display: none !important; }
dialog { padding: 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); color: inherit;
  width: min(96vw, 1100px); max-height: 96vh; } dialog::backdrop { background: #000b; }
dialog svg.large { display: block; margin: auto; width: 100%; max-height: 74vh; }
dialog p { margin: 8px 0; overflow-wrap: anywhere; max-width: none; }
dialog div { display: flex; gap: 8px; } dialog button { font: inherit; padding: 3px 14px; }
dialog button:last-child { margin-left: auto; }
@media (max-width: 640px) { body { padding: 0 12px 40px; } .tools { position: static; } .card { padding: 8px; }
  :root { --panel: calc((100vw - 56px) / 3); } .charts { display: flex; overflow-x: auto; }
  .chart { flex: none; width: 272px; }
  .chips > b { width: auto; } }
"""

SCRIPT = """
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const find = selector => document.querySelector(selector);
const slider = find("#score"), dialog = find("dialog"), place = find("#cards"), ordering = find("#order");
const files = new Map(), hiddenRuns = new Set();
let split = Object.keys(INDEX.splits)[0], chosen = "", first = 0, seed = 1, current = null, turn = 0;

function addCard(key, html) { files.set(key, html); }
function load(key) {
  if (files.has(key)) return Promise.resolve();
  return new Promise(done => {
    const script = document.createElement("script");
    script.src = INDEX.folder + "/" + key + ".js";
    script.onload = script.onerror = () => { script.remove(); done(); };
    document.head.append(script);
  });
}
function shuffled(number) {
  let x = Math.imul(number + 1, 2654435761) ^ Math.imul(seed, 40503);
  x = Math.imul(x ^ (x >>> 15), 2246822519);
  return (x ^ (x >>> 13)) >>> 0;
}
function wanted() {
  const images = INDEX.splits[split].filter(image => chosen === "" || image.classes.includes(+chosen));
  const [kind, column] = ordering.value.split(" ");
  if (kind === "random") return images.sort((a, b) => shuffled(a.number) - shuffled(b.number));
  if (kind === "listed") return images;
  const sign = kind === "best" ? -1 : 1, known = images.filter(image => image.values[column] !== null);
  return known.sort((a, b) => sign * (a.values[column] - b.values[column]));
}
async function draw() {
  const mine = ++turn, images = wanted();
  first = Math.max(0, Math.min(first, images.length - 1));
  first -= first % INDEX.size;
  const shown = images.slice(first, first + INDEX.size);
  await Promise.all(shown.map(image => load(image.key)));
  if (mine !== turn) return;
  const lost = "<p>The folder " + INDEX.folder + " is not beside this page; keep the two together.</p>";
  place.innerHTML = shown.map(image => files.get(image.key) || lost).join("");
  for (const look of all(".look", place)) look.onclick = () => show(look);
  const last = first + shown.length;
  find("#shown").textContent = images.length ? `${first + 1} to ${last} of ${images.length} images` : "no image";
  find("#back").disabled = first === 0;
  find("#on").disabled = last >= images.length;
  apply();
}
async function leaf(along) {
  const before = first;
  first += along * INDEX.size;
  if (first < 0 || first >= wanted().length) { first = before; return false; }
  await draw();
  return true;
}
function apply() {
  for (const panel of all("[data-runs]")) panel.hidden = panel.dataset.runs.split(" ").every(r => hiddenRuns.has(r));
  for (const group of all(".group")) {
    const panels = all(".panel", group);
    group.hidden = panels.length ? panels.every(panel => panel.hidden) : hiddenRuns.has(group.dataset.place);
  }
  for (const part of all(".card [data-c]")) part.classList.toggle("faint", chosen !== "" && part.dataset.c !== chosen);
  for (const panel of all(".scored")) {
    const parts = all("[data-s]", panel), weak = parts.filter(part => +part.dataset.s < +slider.value);
    for (const part of parts) part.classList.toggle("weak", weak.includes(part));
    const seen = parts.filter(part => !weak.includes(part)).map(part => part.querySelector("text").textContent);
    const named = seen.length > 8 ? [...seen.slice(0, 8), `${seen.length - 8} more`] : seen;
    const drawing = panel.querySelector(".look svg");
    drawing.setAttribute("aria-label", `${drawing.dataset.name}: ${named.join(", ") || "nothing"}`);
    panel.querySelector(".count").textContent = `${seen.length} of ${parts.length}`;
  }
  for (const panel of all(".panel")) panel.classList.toggle("crowded", all("g:not(.weak) > text", panel).length > 8);
  find("#limit").textContent = (+slider.value).toFixed(2);
}
function press(chips, chip) {
  for (const other of chips) other.setAttribute("aria-pressed", other === chip);
}
for (const chip of all("[data-class]")) chip.onclick = () => {
  [chosen, first] = [chip.dataset.class, 0];
  press(all("[data-class]"), chip);
  draw();
};
for (const chip of all("[data-split]")) chip.onclick = () => {
  [split, first] = [chip.dataset.split, 0];
  press(all("[data-split]"), chip);
  fill();
  draw();
};
for (const chip of all("[data-run]")) chip.onclick = () => {
  const run = chip.dataset.run;
  hiddenRuns.has(run) ? hiddenRuns.delete(run) : hiddenRuns.add(run);
  chip.setAttribute("aria-pressed", !hiddenRuns.has(run));
  apply();
};
function fill() {
  const rows = [["listed", "as listed"], ["random", "at random"]];
  INDEX.orders[split].forEach(([run, most, least], k) => rows.push([`worst ${k}`, `${least}: ${run}`],
    [`best ${k}`, `${most}: ${run}`]));
  ordering.replaceChildren(...rows.map(([value, text]) => new Option(text, value)));
}
const looks = card => all(".look", card).filter(look => !look.closest("[hidden]"));

function show(look) {
  current = look;
  const drawing = look.querySelector("svg"), large = drawing.cloneNode(true);
  for (const part of all("[id]", large)) part.removeAttribute("id");
  large.classList.add("large");
  dialog.querySelector("svg").replaceWith(large);
  dialog.querySelector("p").textContent = drawing.getAttribute("aria-label");
  if (!dialog.open) dialog.showModal();
}
async function move(along, across) {
  const row = current.closest(".card"), column = looks(row), at = column.indexOf(current), step = across || along;
  if (!across && column[at + along]) return show(column[at + along]);
  const rows = all(".card");
  let next = rows[rows.indexOf(row) + step];
  if (!next && await leaf(step)) next = all(".card").at(step > 0 ? 0 : -1);
  if (!next) return;
  const there = looks(next);
  show(there[across ? Math.min(at, there.length - 1) : along > 0 ? 0 : there.length - 1]);
}
async function walk(along) {
  const rows = all(".card"), line = find(".tools").getBoundingClientRect().bottom + 20;
  const at = rows.findIndex(card => card.getBoundingClientRect().bottom > Math.max(line, 20));
  if (rows[at + along]) return rows[at + along].scrollIntoView();
  if (await leaf(along)) all(".card").at(along > 0 ? 0 : -1).scrollIntoView();
}
slider.oninput = apply;
ordering.onchange = () => { first = 0; seed += 1; draw(); };
find("#back").onclick = () => leaf(-1);
find("#on").onclick = () => leaf(1);
dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
dialog.onclose = () => current.isConnected && current.focus();
const [before, after, shut] = all("button", dialog);
before.onclick = () => move(-1, 0);
after.onclick = () => move(1, 0);
shut.onclick = () => dialog.close();
document.onkeydown = event => {
  const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0;
  const across = { ArrowUp: -1, ArrowDown: 1 }[event.key] || 0;
  const leaving = { n: 1, p: -1 }[event.key] || 0;
  const elsewhere = event.target.closest("input, select, .wide, .chips");
  if (!(along || across || leaving) || elsewhere || event.altKey || event.ctrlKey || event.metaKey) return;
  if (dialog.open && !leaving) move(along, across);
  else if (leaving && !dialog.open) leaf(leaving);
  else if (along) walk(along);
  else return;
  event.preventDefault();
};
fill();
draw();
"""

_ZOOM = (
    '<dialog aria-label="enlarged picture"><svg aria-hidden="true"></svg><p></p><div>'
    '<button aria-label="previous picture">&larr;</button><button aria-label="next picture">&rarr;</button>'
    "<button>close</button></div></dialog>"
)


def page(title: str, lead: str, sections: Sequence[tuple[str, str, str]], index: dict | None = None) -> str:
    """The whole page: a title, what it is about (HTML), and sections of anchor, heading and content (HTML).

    index: what the script knows of the images of a gallery (JSON values), or None for a page that stands still.
    """
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = "".join(
        f'<section id="{anchor}"><h2>{escape(heading)}</h2>{content}</section>' for anchor, heading, content in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>{lead}"
        f"<nav>{links}</nav>\n{body}\n{'' if index is None else _script(index)}</body></html>\n"
    )


def _script(index: dict) -> str:
    values = json.dumps(index, separators=(",", ":")).replace("</", "<\\/")  # which would end the script
    return f"{_ZOOM}<script>const INDEX = {values};{SCRIPT}</script>"


def tools(rows: Sequence[tuple[str, str]], threshold: float) -> str:
    """The bar over the gallery: rows of a word and its buttons (HTML), the slider for the smallest score, the order of
    the images, and buttons that turn the pages."""
    lines = "".join(f'<div class="chips"><b>{escape(word)}</b>{chips}</div>' for word, chips in rows)
    return (
        f'<div class="tools">{lines}<div class="chips"><b>score</b><label>at least <output id="limit">{threshold:.2f}'
        f'</output> <input id="score" type="range" min="0" max="1" step="0.05" value="{threshold}"></label>'
        '<label>order <select id="order"></select></label></div>'
        '<div class="chips"><b>page</b><button class="chip" id="back">&larr; previous</button>'
        '<button class="chip" id="on">next &rarr;</button><output id="shown"></output></div></div>'
        '<div id="cards"></div>'
    )
