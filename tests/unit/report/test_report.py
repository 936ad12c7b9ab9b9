import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from artifacts import (
    CLASSES,
    SIZE,
    nothing,
    provenance,
    square_mask,
    write_images,
    write_labels,
    write_semantic,
)

from wsis_steps.engine.documents import digest_of_file, write_document
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job
from wsis_steps.evaluation.summary_table import COLUMNS, summary_table
from wsis_steps.report.image_gallery import starting_threshold
from wsis_steps.report.render_report import main
from wsis_steps.report.settings import ReportRenderReport
from wsis_steps.report.texts import legend
from wsis_steps.vision.contracts.artifact import create
from wsis_steps.vision.contracts.instances import Instances, write_instances
from wsis_steps.vision.contracts.maps import Maps, MapsWriter
from wsis_steps.vision.contracts.points import write_points
from wsis_steps.vision.masks import describe, encode

TRAIN, VAL, SHOWN = 4, 3, 2
FIGURES = (
    ("one", "labels/round00", "train", "mask_ap50", 0.31234),
    ("one", "predictions", "val", "mask_ap50", 0.41234),
    ("one", "predictions", "val", "abo", 0.5),
    ("two", "predictions", "val", "mask_ap50", float("nan")),
)
TRAININGS = [["one", "bestie", "bestie_train", '{"seed":7,"sigma":6.5}']]
MARKDOWN = """\
| run   | stage       |        AP50 |
| ----- | ----------- | ----------: |
| one   | predictions | 41.2 (51.0) |
| two † | predictions |           - |

In percent.
† masks went in.
"""


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, tables as rows of text, all text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.tables, self.text, self.in_cell = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self.in_cell:
            self.tables[-1][-1][-1] += data

    def all(self, tag, kind=None):
        return [a for t, a in self.elements if t == tag and (kind is None or kind in a.get("class", "").split())]

    def described(self, start):
        """Texts of the pictures whose text begins with `start`."""
        return [a["aria-label"] for a in self.all("svg") if a.get("aria-label", "").startswith(start)]


def predicted(number):
    """A surely and a hardly seen instance."""
    masks = np.stack([square_mask(number), square_mask(number + 2)])
    return describe(encode(masks), np.array([number % 2, 1]), np.array([0.91, 0.12]))


def write_maps(path, class_names):
    with create(path, Maps.schema, provenance(class_names)) as file:
        writer = MapsWriter(file, (SIZE // 2, SIZE // 2), np.float16)
        for k in range(TRAIN):
            writer.add(f"image{k}", SIZE, SIZE, np.full((1, SIZE // 2, SIZE // 2), 0.5), [k % 2])
        writer.close()


def build(folder, class_names=CLASSES, truth=True, shown=SHOWN):
    """A data set and three runs in `folder`; `two` shares the training and the maps of `one` and has points,
    `same` shares all of `one`."""
    data = {
        name: folder / name for name in ("images.h5", "truth_train.h5", "truth_val.h5", "summary.csv", "summary.md")
    }
    write_images(data["images.h5"], TRAIN, VAL, class_names)
    write_labels(data["truth_train.h5"], 0, TRAIN if truth else 0, class_names=class_names)
    write_labels(data["truth_val.h5"], TRAIN, VAL if truth else 0, class_names=class_names)
    rows = [(run, "bestie", "tags", *rest) for run, *rest in FIGURES if truth]
    columns = ["run", "system", "supervision", "stage", "split", "metric", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(data["summary.csv"], index=False)
    data["summary.md"].write_text(MARKDOWN if truth else "In percent.\n", encoding="utf-8")
    write_maps(folder / "maps.h5", class_names)
    points = [np.array([[8, 9, k % 2, 0.75]], np.float32) for k in range(TRAIN)]
    ids = [f"image{k}" for k in range(TRAIN)]
    write_points(folder / "peaks.h5", provenance(class_names), ids, [SIZE] * TRAIN, [SIZE] * TRAIN, points)
    write_semantic(folder / "semantic.h5", TRAIN, class_names=class_names)
    write_labels(folder / "labels.h5", 0, TRAIN, class_names=class_names)
    for run in ("one", "two"):
        found = [predicted(k) if run == "one" else nothing() for k in range(VAL)]
        ids = [f"image{TRAIN + k}" for k in range(VAL)]
        write_instances(folder / f"{run}.h5", provenance(class_names), ids, [SIZE] * VAL, [SIZE] * VAL, found)
    lines = [{"iteration": k, "learning_rate": 0.1, "term": 1 / k, "total": 2 / k} for k in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "scores.json").write_text(
        json.dumps(
            {
                "split": "val",
                "supervision": [],
                "metrics": {},
                "per_class": {"mask_ap50": {class_names[0]: 0.25, class_names[1]: None}},
            }
        )
    )
    # cues are drawn on the maps, wherever both stand in the list
    maps, semantic = [("classifier", "metrics.jsonl"), ("activation maps", "maps.h5")], ("semantic", "semantic.h5")
    one, two = [*maps, semantic, ("cues", "peaks.h5")], [("points", "images.h5"), *maps, semantic]
    rest = [("labels/round00", "labels.h5")]
    runs = {"one": [*one, *rest, ("predictions", "one.h5")], "two": [*two, *rest, ("predictions", "two.h5")]}
    runs["same"] = runs["one"]
    results = [(run, stage, str(folder / name)) for run, files in runs.items() for stage, name in files]
    figures = [("one", "bestie", "predictions", str(folder / "scores.json"))] if truth else []
    listing = {"dataset": "toy", "figures": figures, "results": results, "trainings": TRAININGS}
    (folder / "summary.json").write_text(json.dumps({"verdicts": []}))
    listing |= {
        "judged": [],
        "recommended": [],
        "first": [],
        "stages": [["cues", "peaks", "bestie"], ["labels", "first", "a, b"], ["labels", "own", "c"]],
        "pairs": [],
        "published": [],
    }
    (folder / "listing.json").write_text(json.dumps(listing))
    columns = "run,step,jobs,minutes,cpu_minutes,memory_mb,gpu_memory_mb,written_mb"
    (folder / "cost.csv").write_text(f"{columns}\none,maskrcnn_train,2,90.5,170.0,2048.0,,12.5\n")
    write_document(folder / "cost.json", {"table": digest_of_file(folder / "cost.csv")})
    return Job(
        "report_render_report",
        ReportRenderReport(images=shown),
        {
            "images": data["images.h5"],
            "truth": [data["truth_train.h5"], data["truth_val.h5"]],
            "summary": data["summary.csv"],
            "text": data["summary.md"],
            "listing": folder / "listing.json",
            "costs": folder / "cost.csv",
            "digest": folder / "cost.json",
            "verdicts": folder / "summary.json",
        },
        {"page": folder / "report.html", "cards": folder / "report_images"},
    )


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    job = build(tmp_path_factory.mktemp("report"))
    main(job)
    return job


def index_of(job):
    """What the page's script knows of the images."""
    text = job.outputs["page"].read_text(encoding="utf-8")
    return json.JSONDecoder().raw_decode(text.split("const INDEX = ", 1)[1].replace("<\\/", "</"))[0]


def open_page(job):
    """The page as it stands when every card has been looked at, those of the evaluation images first."""
    cards = []
    for images in index_of(job)["splits"].values():
        for image in images:
            text = (job.outputs["cards"] / f"{image['key']}.js").read_text(encoding="utf-8")
            key, card = json.loads(f"[{text.removeprefix('addCard(').removesuffix(');' + chr(10))}]")
            assert key == image["key"]
            cards.append(card)
    frame, script = job.outputs["page"].read_text(encoding="utf-8").split("<script>", 1)
    return Page(frame + "".join(cards) + "<script>" + script)


@pytest.fixture(scope="module")
def page(job):
    return open_page(job)


def test_every_run_and_class_has_a_button(page):
    buttons = page.all("button", "chip")
    assert [a["data-run"] for a in buttons if "data-run" in a] == ["0", "1", "2"]
    assert [a["data-class"] for a in buttons if "data-class" in a] == ["", "0", "1"]
    assert "Runs: one, two, same." in page.text


def test_every_picture_has_a_text(page):
    drawings = [a for a in page.all("svg") if a.get("aria-hidden") != "true"]
    assert drawings and all(a["role"] == "img" and len(a["aria-label"]) > 8 for a in drawings)
    assert not page.all("img")


def test_nothing_is_outside_the_page(job, page):
    addresses = [a[key] for _, a in page.elements for key in ("href", "src", "action", "data", "srcset") if key in a]
    assert addresses and all(address.startswith(("#", "data:image/jpeg;base64,")) for address in addresses)
    text = "".join(p.read_text(encoding="utf-8") for p in (job.outputs["page"], *job.outputs["cards"].iterdir()))
    assert not any(word in text for word in ("http:", "https:", "url(", "@import", "<link", "fetch("))


def test_every_reference_has_its_one_target(page):
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in page.elements if tag in ("use", "a")} <= set(ids)


def test_main_table_is_that_of_the_summary(page):
    assert page.tables[1] == [
        ["run", "stage", "AP50"],
        ["one", "predictions", "41.2 (51.0)"],
        ["two †", "predictions", "-"],
    ]
    assert "† masks went in." in page.text


def test_every_figure_equals_the_csv(job, page):
    header, *lines = next(table for table in page.tables if table[0][:3] == ["run", "stage", "split"])
    found = {(*line[:3], metric): cell for line in lines for metric, cell in zip(header[3:], line[3:], strict=True)}
    csv = pd.read_csv(job.inputs["summary"])
    assert len(csv) == len(FIGURES)
    for row in csv.itertuples():
        cell = found.pop((row.run, row.stage, row.split, row.metric))
        assert cell == "-" if np.isnan(row.value) else float(cell) == pytest.approx(row.value, abs=5e-5)
    assert set(found.values()) == {"-"}


def test_a_table_of_costs_that_was_changed_is_refused(tmp_path):
    job = build(tmp_path)
    costs = job.inputs["costs"]
    costs.write_text(costs.read_text().replace("90.5", "60.5"))
    with pytest.raises(InputError, match=f"^{costs} does not match {job.inputs['digest']}: "):
        main(job)


def test_figures_of_proposals_widen_no_table_of_other_figures(tmp_path):
    job = build(tmp_path)
    rows = pd.read_csv(job.inputs["summary"])
    rows.loc[len(rows)] = ["one", "bestie", "", "proposals/mcg", "val", "j_instances_100", 0.375]
    rows.to_csv(job.inputs["summary"], index=False)
    main(job)
    found = open_page(job).tables
    every = [table for table in found if table[0][:3] == ["run", "stage", "split"]]
    assert [table[0][3:] for table in every] == [["mask_ap50", "abo"], ["j_instances_100"]]
    assert every[1][1] == ["one", "proposals/mcg", "val", "0.3750"]


def test_figures_by_class_have_bars_of_their_length(page):
    table = next(table for table in page.tables if table[0][0] == "class")
    assert table == [["class", "onepredictions"], ["cat", "25.0"], ["dog", "-"]]
    assert [a["style"] for a in page.all("span", "bar")] == ["--share:25.0%", "--share:0.0%"]


def test_the_settings_of_trainings_are_told(page):
    assert ["one", "bestie", "bestie_train", "", "seed: 7, sigma: 6.5"] in page.tables[-1]


def test_images_are_spaced_evenly_and_the_page_says_of_how_many(page):
    assert len(page.all("article", "card")) == 2 * SHOWN
    ends = (TRAIN, TRAIN + VAL - 1, 0, TRAIN - 1)
    assert page.described("image: ") == [f"image: image{k}" for k in ends]
    assert f"evaluation ({SHOWN} of {VAL})" in page.text and f"training ({SHOWN} of {TRAIN})" in page.text


def test_images_can_be_ordered_by_how_well_a_run_agrees_with_the_truth(job):
    index = index_of(job)
    assert index["orders"]["val"] == [[run, "best", "worst"] for run in ("one", "two", "same")]
    for k, image in zip((0, VAL - 1), index["splits"]["val"], strict=True):
        # `one` has one instance above the threshold, `two` has none
        found, true = square_mask(k) > 0, square_mask(TRAIN + k) > 0
        overlap = (found & true).sum() / (found | true).sum()
        assert image["values"] == pytest.approx([overlap, 0, overlap], abs=1e-4)
    assert [image["values"] for image in index["splits"]["train"]] == [[1, 1, 1]] * SHOWN
    assert [image["classes"] for image in index["splits"]["train"]] == [[0], [1]]


def test_what_runs_share_is_drawn_once(page):
    assert page.described("semantic of one and two and same on image image0: ") == [
        "semantic of one and two and same on image image0: cat"
    ]
    assert len(page.described("activation maps with cues of one and same")) == SHOWN
    assert len(page.described("activation maps with points of two")) == SHOWN
    assert "semantic as one, labels/round00 as one" in page.text
    losses, labels = 2, 3  # terms of one training, the labels of each run
    assert len([a for a in page.all("polyline")]) == losses + labels


def test_activation_maps_have_pictures_of_their_own(page):
    addresses = [a["href"] for a in page.all("image")]
    # every image plain, the training images under two kinds of cues, and those of the strip
    assert len(addresses) == 2 * SHOWN + 2 * SHOWN + VAL
    panels = sum("data-name" in a for a in page.all("svg"))
    assert len(page.all("use")) == panels - len(addresses)


def test_the_cues_lie_where_they_were_found(page):
    cues = [(float(a["cx"]), float(a["cy"])) for a in page.all("circle")]
    points = [(6 + 2 * k, 8 + k) for k in (0, TRAIN - 1)]  # as `write_images` sets them
    assert cues == [(8, 9), points[0], (8, 9), points[1]]


def test_the_legend_says_of_which_systems_a_stage_is_what(page):
    assert "cues, peaks; labels, first (a, b), or own (c)." in page.text


def test_supervision_is_that_of_the_main_stage_in_words(tmp_path):
    """The last stage of the run has seen masks, the main one has not."""
    job = build(tmp_path)
    made = replace(provenance(), supervision=("masks_seen: boundaries", "tags"))
    found, ids = [predicted(k) for k in range(VAL)], [f"image{TRAIN + k}" for k in range(VAL)]
    write_instances(tmp_path / "mcg.h5", made, ids, [SIZE] * VAL, [SIZE] * VAL, found)
    listing = json.loads((tmp_path / "listing.json").read_text())
    listing["results"].insert(6, ["one", "predictions_mcg", str(tmp_path / "mcg.h5")])
    (tmp_path / "listing.json").write_text(json.dumps(listing))
    main(job)
    page = open_page(job)
    overview = next(table for table in page.tables if table[0][:2] == ["run", "learned from"])
    assert next(row for row in overview if row[0] == "one")[1] == "tags"
    origins = next(table for table in page.tables if table[0][:3] == ["run", "stage", "step"])
    told = [row[3] for row in origins if row[1] == "predictions_mcg"]
    assert told == ["tags; edges learned from drawn boundaries"]


def test_paired_differences_stand_on_the_page_and_are_explained(tmp_path):
    job = build(tmp_path)
    rows = [(f"{run}_seed{k}", "bestie", "tags", "predictions", "val", "mask_ap50", value)
            for run, values in (("full", (0.5, 0.52, 0.54)), ("less", (0.4, 0.41, 0.45)))
            for k, value in enumerate(values)]  # fmt: skip
    pairs = [[f"less_seed{k}", f"full_seed{k}", "predictions", "val"] for k in range(3)]
    job.inputs["text"].write_text(summary_table(pd.DataFrame(rows, columns=COLUMNS), {}, pairs), encoding="utf-8")
    listing = json.loads(job.inputs["listing"].read_text())
    job.inputs["listing"].write_text(json.dumps({**listing, "pairs": pairs}))
    main(job)
    page = open_page(job)
    table = next(table for table in page.tables if table[0][0] == "paired differences")
    assert table[1] == ["less", "full", "predictions", "3", "-10.0 ± 0.6"]
    assert "? not significant" in page.text and "Stages that both share are left out." in page.text
    assert "A stage that both share" not in legend([])


def test_where_nothing_is_trained_the_page_says_so(tmp_path):
    job = build(tmp_path)
    listing = json.loads(job.inputs["listing"].read_text())
    listing["results"] = [row for row in listing["results"] if not row[2].endswith(".jsonl")]
    job.inputs["listing"].write_text(json.dumps(listing))
    main(job)
    losses = job.outputs["page"].read_text(encoding="utf-8").split('<section id="losses">')[1].split("</section>")[0]
    assert losses == "<h2>Losses</h2><p>No run trains a network.</p>"


def test_weak_predictions_are_there_but_not_named(page):
    assert page.described(f"predictions of one and same on image image{TRAIN}: ") == [
        f"predictions of one and same on image image{TRAIN}: cat 0.91"
    ]
    assert [a["data-s"] for a in page.all("g") if "data-s" in a] == ["0.9100", "0.1200"] * (SHOWN + VAL)
    assert page.described(f"predictions of two on image image{TRAIN}: ")[0].endswith(": nothing")
    assert page.text.count("1 of 2") == SHOWN + VAL


def test_the_score_shown_at_first_leaves_something_to_see(tmp_path):
    def scored(name, *scores):
        path = tmp_path / f"{name}.h5"
        found = [
            describe(encode(np.ones((len(image), 4, 4), bool)), np.zeros(len(image), int), np.array(image))
            for image in scores
        ]
        ids = [f"{n}" for n in range(len(scores))]
        write_instances(path, provenance(CLASSES), ids, [4] * len(scores), [4] * len(scores), found)
        return Instances(path)

    strong, weak = scored("strong", [0.9, 0.1], [0.8]), scored("weak", [0.17], [0.12, 0.02], [], [0.9])
    assert starting_threshold([strong]) == 0.3 and starting_threshold([]) == 0.3
    assert starting_threshold([strong, weak]) == pytest.approx(0.15)


def test_truth_of_both_splits_is_shown(page):
    assert page.described("truth on image ") == [f"truth on image image{k}: {CLASSES[k % 2]}" for k in (4, 6, 0, 3)]


def test_the_same_inputs_give_the_same_bytes(job, tmp_path):
    before = job.outputs["page"].read_bytes()
    again = Job(job.name, job.settings, job.inputs, {"page": tmp_path / "again.html", "cards": tmp_path / "cards"})
    main(again)
    assert again.outputs["page"].read_bytes() == before
    files = {path.name: path.read_bytes() for path in job.outputs["cards"].iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "cards").iterdir()} == files


def test_without_truth_the_page_says_what_cannot_be_scored(tmp_path):
    job = build(tmp_path, truth=False)
    main(job)
    page = open_page(job)
    assert page.text.count("cannot be scored, only inspected") == 2
    # what each run came to, which image is next, costs, and where results come from
    heads = [table[0][:2] for table in page.tables]
    assert heads == [["run", "learned from"], ["run", "image"], ["run", "step"], ["run", "stage"]]
    assert [a["id"] for a in page.all("section")][:2] == ["overview", "images"]
    assert page.all("section", "large")[0]["id"] == "images" and not page.all("div", "strip")
    assert "Stages: cues, peaks; labels, first (a, b), or own (c)." in page.text
    first = next(a for a in page.all("button") if "data-split" in a)
    assert first["data-split"] == "train" and first["aria-pressed"] == "true"
    assert not page.described("truth") and page.described("predictions of one")


def test_names_are_text_whatever_they_hold(page, tmp_path):
    job = build(tmp_path, class_names=('<b>"cat"', "dog & 'co'"))
    main(job)
    strange = open_page(job)
    assert strange.described("truth on image image4: ") == ['truth on image image4: <b>"cat"']
    assert "dog & 'co'" in strange.text
    assert [tag for tag, _ in strange.elements] == [tag for tag, _ in page.elements]


def test_results_of_other_images_are_refused(tmp_path):
    job = build(tmp_path)
    write_labels(tmp_path / "labels.h5", 0, TRAIN, prefix="other")
    with pytest.raises(InputError, match="holds image 'other0'"):
        main(job)


BROKEN = [
    ("metrics.jsonl", "not a metrics file"),
    ("scores.json", "no figures"),
    ("listing.json", "no list of results"),
]


@pytest.mark.parametrize(("name", "message"), BROKEN)
def test_broken_files_are_named(tmp_path, name, message):
    job = build(tmp_path)
    (tmp_path / name).write_text('{"broken')
    with pytest.raises(InputError, match=message):
        main(job)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name} does not exist"):
        main(job)


def test_a_missing_or_foreign_artifact_is_refused(tmp_path):
    job = build(tmp_path)
    (tmp_path / "semantic.h5").write_text("no HDF5")
    with pytest.raises(InputError, match="not an HDF5 file"):
        main(job)
    (tmp_path / "semantic.h5").unlink()
    with pytest.raises(InputError, match="does not exist"):
        main(job)
