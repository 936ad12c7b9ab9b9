"""The frame of a self-contained page: its style and its script, so that it opens from a disk, without a network."""

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
.chips label, .chips span { flex: none; font-size: .82rem; margin-right: 12px; }
.chips input { width: 110px; vertical-align: middle; }
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
const slider = document.querySelector("#score"), dialog = document.querySelector("dialog");
let chosen = "", current = null;
const hiddenRuns = new Set();

function apply() {
  for (const card of all(".card")) card.hidden = chosen !== "" && !card.dataset.classes.split(" ").includes(chosen);
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
  document.querySelector("#shown").textContent = cards().length;
  document.querySelector("#limit").textContent = (+slider.value).toFixed(2);
}
for (const chip of all("[data-class]")) chip.onclick = () => {
  chosen = chip.dataset.class;
  for (const other of all("[data-class]")) other.setAttribute("aria-pressed", other === chip);
  apply();
};
for (const chip of all("[data-run]")) chip.onclick = () => {
  const run = chip.dataset.run;
  hiddenRuns.has(run) ? hiddenRuns.delete(run) : hiddenRuns.add(run);
  chip.setAttribute("aria-pressed", !hiddenRuns.has(run));
  apply();
};
const cards = () => all(".card:not([hidden])");
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
function move(along, across) {
  const column = looks(current.closest(".card")), place = column.indexOf(current) + along;
  if (!across && column[place]) return show(column[place]);
  const rows = cards(), row = rows[rows.indexOf(current.closest(".card")) + (across || along)];
  if (!row) return;
  const there = looks(row);
  show(there[across ? Math.min(column.indexOf(current), there.length - 1) : along > 0 ? 0 : there.length - 1]);
}
function turn(along) {
  const rows = cards(), line = document.querySelector(".tools").getBoundingClientRect().bottom + 20;
  const at = rows.findIndex(card => card.getBoundingClientRect().bottom > Math.max(line, 20));
  const next = rows[Math.min(Math.max(at + along, 0), rows.length - 1)];
  if (next) next.scrollIntoView();
}
slider.oninput = apply;
for (const look of all(".look")) look.onclick = () => show(look);
dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
dialog.onclose = () => current.focus();
const [before, after, shut] = all("button", dialog);
before.onclick = () => move(-1, 0);
after.onclick = () => move(1, 0);
shut.onclick = () => dialog.close();
document.onkeydown = event => {
  const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0;
  const across = { ArrowUp: -1, ArrowDown: 1 }[event.key] || 0;
  if (!(along || across) || event.target.closest("input, .wide, .chips") || event.altKey || event.ctrlKey) return;
  if (dialog.open) move(along, across);
  else if (along) turn(along);
  else return;
  event.preventDefault();
};
apply();
"""

_ZOOM = (
    '<dialog aria-label="enlarged picture"><svg aria-hidden="true"></svg><p></p><div>'
    '<button aria-label="previous picture">&larr;</button><button aria-label="next picture">&rarr;</button>'
    "<button>close</button></div></dialog>"
)


def page(title: str, lead: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """The whole page: a title, what it is about (HTML), and sections of anchor, heading and content (HTML)."""
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = "".join(
        f'<section id="{anchor}"><h2>{escape(heading)}</h2>{content}</section>' for anchor, heading, content in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>{lead}"
        f"<nav>{links}</nav>\n{body}\n{_ZOOM}<script>{SCRIPT}</script></body></html>\n"
    )


def tools(rows: Sequence[tuple[str, str]], threshold: float, count: int) -> str:
    """The bar over the galleries: rows of a word and its buttons (HTML), and the slider for the smallest score.

    `count`: the images that there are to show.
    """
    lines = "".join(f'<div class="chips"><b>{escape(word)}</b>{chips}</div>' for word, chips in rows)
    return (
        f'<div class="tools">{lines}<div class="chips"><b>score</b><label>at least <output id="limit">{threshold:.2f}'
        f'</output> <input id="score" type="range" min="0" max="1" step="0.05" value="{threshold}"></label>'
        f'<span><output id="shown">{count}</output> of {count} images</span></div></div>'
    )
