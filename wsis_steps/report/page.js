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
  const row = current.closest(".card, .strip"), column = looks(row), at = column.indexOf(current), step = across || along;
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
for (const look of all(".strip .look")) look.onclick = () => show(look);
fill();
draw();
