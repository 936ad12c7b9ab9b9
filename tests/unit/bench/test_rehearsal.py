"""The pure parts of the rehearsal: what may differ from a preset, which jobs run, the hours, the table, the counter."""

import json
from copy import deepcopy
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from artifacts import write_labels
from imports import imported
from proposal_sets import square_boxes, square_regions
from snakemake.utils import update_config
from torch import nn

from bench.counted import counted, job_images
from bench.jobs import PlannedJob, planned, planned_jobs
from bench.rehearsal import COCO_JOBS, COCO_PRESET, COCO_SMALLER, PRESETS
from bench.rehearsal_boxes import BOXES, LEAST_SIDE, fill_boxes, random_boxes
from bench.rehearsal_data import COCO_CLASSES, write_coco_data
from bench.rehearsal_jobs import Taken, run_all, run_smaller, watch, with_instances
from bench.rehearsal_plan import (
    PICTURES,
    backbones,
    check_settings,
    choose,
    iterations,
    merged,
    reduced,
    resolved,
    shortened,
    with_ancestors,
)
from bench.rehearsal_table import BEGIN, COCO, END, Group, extrapolated, hours, row, table, times, total, write_between
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.shards import members_of_shard
from wsis_steps.engine.step import Job
from wsis_steps.formats import coco
from wsis_steps.plan.steps import STEPS
from wsis_steps.vision.contracts.proposals import Proposals


def rehearsed(changes=None):
    preset = merged(*PRESETS)
    both = deepcopy(preset)
    update_config(both, shortened(preset, PICTURES))
    update_config(both, changes or {})
    return preset, both


def test_every_training_of_the_presets_is_shortened_and_nothing_else_changes():
    preset, both = rehearsed()
    check_settings(preset, both)
    trainings = [values for values in resolved(both).values() if "batch_size" in values]
    assert len(trainings) > 50
    assert {iterations(values, PICTURES) for values in trainings} == {2}


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": {"bestie_train": {"crop": 320}}},
        {"steps": {"community_learning_infer": {"flip": False}}},
        {"runs": {"bestie_pam4": {"steps": {"classifier_train": {"batch_size": 4}}}}},
        {"runs": {"annotation_consistency": {"rounds": 2}}},
        {"runs": {"bestie": {"maskrcnn": False}}},
    ],
)
def test_any_other_difference_from_the_preset_is_refused(changes):
    with pytest.raises(ValueError, match="differ from the preset's"):
        check_settings(*rehearsed(changes))


def test_the_presets_backbones_have_files():
    assert {"vgg16", "hrnet_w48", "resnet50", "resnet101"} <= set(backbones(resolved(merged(*PRESETS)).values()))


def planned_job(step, run, inputs=(), settings="{}"):
    return PlannedJob(step, f"{run}/{step}", inputs, (f"{run}/{step}.out",), True, ("python", "--settings", settings))


def test_of_jobs_alike_the_first_runs_and_stands_in_for_the_others():
    other = '{"attention":"none"}'
    first = [
        planned_job("classifier_train", "a"),
        planned_job("classifier_infer", "a", ("a/classifier_train.out",)),
        planned_job("bestie_label", "a", ("a/classifier_infer.out",)),
    ]
    more = [
        planned_job("classifier_train", "b", settings=other),
        planned_job("classifier_infer", "b", ("b/classifier_train.out",)),  # another model
        planned_job("bestie_label", "b", ("b/classifier_infer.out",)),  # the same as a's
        planned_job("classifier_train", "c", settings=other),
        planned_job("bestie_label", "c", ("b/bestie_label.out",), settings='{"min_area":1}'),
    ]
    jobs, stand_ins = choose(first, [*more, *first])
    own = ["b/classifier_train", "b/classifier_infer", "c/bestie_label"]
    assert [job.name for job in jobs] == [job.name for job in first] + own
    assert stand_ins == {
        "b/bestie_label.out": "a/bestie_label.out",
        "c/classifier_train.out": "b/classifier_train.out",
    }


def rounds(settings):
    return [
        replace(planned_job("sample", "a", settings=settings[number]), name=f"a/sample_round0{number}",
                outputs=(f"{number}.out",))
        for number in range(len(settings))
    ]  # fmt: skip


def test_a_round_that_does_the_same_as_one_before_it_is_left_out_of_the_preset():
    jobs, stand_ins = choose(first := rounds(['{"a":1}', '{"a":2}', '{"a":2}']), first)
    assert [job.name for job in jobs] == ["a/sample_round00", "a/sample_round01"]
    assert stand_ins == {"2.out": "1.out"}
    others = [planned_job("score", "a"), planned_job("score", "b")]  # the same in another run stays
    assert len(choose(others, others)[0]) == 2


def test_another_number_is_no_other_kind_but_zero_is():
    def chain(run, alpha):
        infer = planned_job("classifier_infer", run, (f"{run}/classifier_train.out",))
        return [planned_job("classifier_train", run, settings=f'{{"alpha":{alpha},"batch_size":2}}'), infer]

    first = chain("a", 0.5)
    added = choose(first, [*first, *chain("b", 0.2), *chain("c", 0.0)])[0][2:]
    assert [job.name for job in added] == ["c/classifier_train", "c/classifier_infer"]


def test_what_only_a_training_is_about_makes_no_other_inference():
    def chain(run, settings):
        infer = planned_job("bestie_infer", run, (f"{run}/bestie_train.out",))
        return [planned_job("bestie_train", run, settings=json.dumps(settings | {"batch_size": 2})), infer]

    first = chain("a", {"refinement": True, "class_wise_centers": True})
    second = chain("b", {"refinement": False, "class_wise_centers": True})
    third = chain("c", {"refinement": True, "class_wise_centers": False})
    added = choose(first, [*first, *second, *third])[0][2:]
    assert [job.name for job in added] == ["b/bestie_train", "c/bestie_train", "c/bestie_infer"]


def test_a_training_of_an_ablation_takes_two_iterations_of_a_small_batch():
    job = reduced(planned_job("classifier_train", "a", settings='{"batch_size":5,"epochs":5,"crop":321}'))
    settings = json.loads(job.option("settings"))
    assert settings["batch_size"] == 2 and settings["crop"] == 321 and iterations(settings, PICTURES) == 2


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """The jobs of voc2012.yaml, of all presets on its data, and of coco2017.yaml, as the rehearsal plans them; without
    the data, which a dry run does not need."""
    folder = tmp_path_factory.mktemp("plans")
    shorter = folder / "shorter.yaml"
    found = []
    for presets in (PRESETS, [COCO_PRESET]):
        shorter.write_text(json.dumps(shortened(merged(*presets))))
        found.append(planned_jobs(folder, *presets, shorter))
    runs = {"shared", *merged(PRESETS[0])["runs"]}
    return [job for job in found[0] if job.name.split("/")[0] in runs], *found


def test_every_planned_inference_sees_an_image(plans):
    first, every, of_coco = plans
    jobs = choose(first, every)[0] + with_ancestors(COCO_JOBS, of_coco)
    divided = [job for job in jobs if "--shard" in job.command]
    assert len({job.step for job in divided}) > 8
    assert all(len(members_of_shard(PICTURES, job.option("shard"))) == PICTURES for job in divided)


def test_settings_of_planned_jobs_are_valid_however_small_they_were_made(plans):
    first, every, of_coco = plans
    jobs = choose(first, every)[0]
    for job in jobs + with_ancestors(COCO_JOBS, of_coco):
        settings = json.loads(job.option("settings"))
        for batch in COCO_SMALLER.get(job.step, ()):
            STEPS[job.step].model_validate(settings | {"batch_size": batch})
        STEPS[job.step].model_validate(settings)
        assert job.name in {job.name for job in [*first, *of_coco]} or settings.get("batch_size", 0) <= 2


def test_every_file_that_a_planned_job_reads_is_made_before_it_or_has_a_stand_in(plans):
    first, every, _ = plans
    jobs, stand_ins = choose(first, every)
    makers, made = {path for job in every for path in job.outputs}, set()
    for job in jobs:
        for path in makers.intersection(job.inputs):
            assert path in made or stand_ins[path] in made
        made.update(job.outputs)


def test_every_step_of_every_run_of_the_preset_is_rehearsed_first(plans):
    first, every, _ = plans
    jobs = choose(first, every)[0]
    assert {(job.name.split("/")[0], job.step) for job in first} <= {
        (job.name.split("/")[0], job.step) for job in jobs[: len(first)]
    }
    names = {job.name for job in first}
    assert [job.name in names for job in jobs] == sorted((job.name in names for job in jobs), reverse=True)


def test_the_heaviest_trainings_of_coco_are_rehearsed_with_its_settings(plans):
    jobs = {job.name: json.loads(job.option("settings")) for job in with_ancestors(COCO_JOBS, plans[2])}
    supervised = jobs["supervised/maskrcnn_train"]
    assert [supervised[name] for name in ("batch_size", "min_size", "max_size")] == [16, 800, 1333]
    assert jobs[COCO_JOBS[-1]]["max_proposals"] == 1000
    assert all(name.split("/")[-1].split("_round")[0] in COCO_SMALLER for name in jobs if "_train" in name)


def test_drawn_coco_is_read_with_80_classes(tmp_path):
    write_coco_data(tmp_path)
    found = imported(coco.read, tmp_path / "data", truth=("train", "val"))
    assert tuple(found.class_names) == COCO_CLASSES and len(COCO_CLASSES) == 80
    assert [record.split for record in found.records] == ["train"] * PICTURES + ["val"] * PICTURES
    assert all(record.tags for record in found.records)


@pytest.fixture
def ran(monkeypatch):
    """The names of jobs that ran, in place of running them; each writes its outputs."""
    names = []

    def run(job, folder, limit):
        names.append(job.name)
        for path in job.outputs:
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(str(len(names)))
        return Taken(job.name, job.step, {}, True)

    monkeypatch.setattr("bench.rehearsal_jobs.run", run)
    return names


@pytest.mark.parametrize("option, value", [("settings", '{"crop":320}'), ("code", "other")])
def test_a_record_of_other_settings_or_code_is_not_taken(tmp_path, ran, option, value):
    def with_log(job):
        return replace(job, command=(*job.command, "--code", "a", "--log", f"logs/{job.name}.log"))

    jobs = [with_log(planned_job("train", "a")), with_log(planned_job("infer", "a", ("a/train.out",)))]
    run_all(jobs, tmp_path, 0, {})
    run_all(jobs, tmp_path, 0, {})
    assert ran == ["a/train", "a/infer"]
    changed = [jobs[0].with_option(option, value), jobs[1]]
    run_all(changed[:1], tmp_path, 0, {})  # as if it had been stopped before what reads it
    run_all(changed, tmp_path, 0, {})
    assert ran == ["a/train", "a/infer"] * 2


def test_what_is_not_made_is_taken_from_its_stand_in(tmp_path, ran):
    def with_log(job):
        return replace(job, command=(*job.command, "--log", f"logs/{job.name}.log"))

    jobs = [with_log(planned_job("train", "a")), with_log(planned_job("infer", "b", ("b/train.out",)))]
    run_all(jobs, tmp_path, 0, {}, {"b/train.out": "a/train.out"})
    assert (tmp_path / "b/train.out").read_text() == (tmp_path / "a/train.out").read_text()


def test_truth_stands_in_for_labels_of_a_random_network_that_hold_nothing(tmp_path):
    write_labels(tmp_path / "some.h5")
    write_labels(tmp_path / "none.h5", empty=True)

    def reading(labels, settings='{"batch_size":2}'):
        options = ("--settings", settings, "--labels", labels)
        return replace(planned_job("train", "a"), command=("python", "-m", "x", *options))

    def read_by(job):
        return with_instances(job, tmp_path, "truth.h5").option("labels")

    assert read_by(reading("none.h5")) == "truth.h5"
    assert read_by(reading("some.h5")) == "some.h5"
    assert read_by(reading("none.h5", settings="{}")) == "none.h5"  # no training
    assert read_by(reading("not_made.h5")) == "not_made.h5"


def test_boxes_are_filled_up_with_valid_ones_after_those_that_were_found(tmp_path):
    path = square_boxes(tmp_path / "boxes.h5", count=3)
    before = [Proposals(path).read(i).boxes for i in range(3)]
    about = Proposals(path).provenance
    fill_boxes(path, 40)
    after = Proposals(path)
    assert list(after.ids) == ["image0", "image1", "image2"] and after.provenance == about
    for i, old in enumerate(before):
        found = after.read(i)
        assert len(old) < len(found) == 40 and np.array_equal(found.boxes[: len(old)], old)
        assert (np.diff(found.scores) < 0).all() and found.scores.min() > 0
    written = path.stat().st_mtime_ns
    fill_boxes(path, 40)
    assert path.stat().st_mtime_ns == written and not list(tmp_path.glob("*filled*"))
    with pytest.raises(InputError, match="regions.h5 holds regions; only boxes can be added"):
        fill_boxes(square_regions(tmp_path / "regions.h5"))


@pytest.mark.parametrize("height, width", [(375, 500), (30, 21), (5, 70), (1, 1)])
def test_random_boxes_lie_in_the_image_and_are_not_too_thin(height, width):
    boxes = random_boxes(np.random.default_rng(0), 500, height, width)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert boxes.min() >= 0 and (boxes[:, 2:] <= (width, height)).all() and (boxes == boxes.round()).all()
    assert (sides >= np.minimum(LEAST_SIDE, (width, height))).all()


def test_jobs_that_read_the_boxes_find_as_many_as_photographs_have(tmp_path, monkeypatch):
    def run(job, folder, limit):
        square_boxes(folder / "boxes.h5", count=1)
        return Taken(job.name, job.step, {}, False)

    monkeypatch.setattr("bench.rehearsal_jobs.run", run)
    job = planned_job("proposals_search_selectively", "shared")
    run_all([replace(job, outputs=("boxes.h5",), command=(*job.command, "--log", "logs/a.log"))], tmp_path, 0, {})
    assert len(Proposals(tmp_path / "boxes.h5").read(0)) == BOXES == 2000


SAID = """
[Sun Nov 29 22:39:55 2026]
rule bestie_train:
    input: results/voc2012/shared/data/images.h5, results/voc2012/bestie/semantic/train.h5
    output: results/voc2012/bestie/bestie/round00/model.pt
    log: logs/voc2012/bestie/train.log
    jobid: 132
    resources: tmpdir=/tmp, gpu=1
Shell command: python -m wsis_steps.bestie.train --settings '{"crop": 416}' --log logs/voc2012/bestie/train.log

[Sun Nov 29 22:39:55 2026]
localrule all:
    input: results/voc2012/summary.csv
    jobid: 0
Shell command: None
"""


def test_a_dry_run_is_read():
    (job,) = planned(SAID)
    assert (job.step, job.name, job.on_gpu) == ("bestie_train", "bestie/train", True)
    assert job.inputs == ("results/voc2012/shared/data/images.h5", "results/voc2012/bestie/semantic/train.h5")
    assert json.loads(job.option("settings")) == {"crop": 416}


TRAIN_IDS, VAL_IDS = {"a", "b", "c", "d"}, {"v", "w", "x", "y"}


def group(settings, whole=None, jobs=1, **values):
    taken = Taken("bestie/step", "step", settings, values.pop("on_gpu", True), **values)
    return Group([taken], whole or settings, jobs)


def test_hours_of_a_training_are_those_of_the_presets_iterations_and_batch():
    ran = {"iterations": 2, "batch_size": 8}
    found = group(ran, {"iterations": 50_000, "batch_size": 16}, flops=3.6e12)
    assert times(found, TRAIN_IDS, VAL_IDS) == 50_000
    assert hours(found, 50_000, rate=50) == pytest.approx(3.6e12 * 50_000 / 50e12 / 3600)


def test_epochs_are_counted_in_iterations_of_the_whole_list():
    found = group({"epochs": 3, "batch_size": 5}, {"epochs": 15, "batch_size": 5})
    assert times(found, TRAIN_IDS, VAL_IDS) == (15 * 10_582 // 5) / 2


@pytest.mark.parametrize(
    "images, factor", [("abcd", 10_582 / 4), ("vwxy", 1_449 / 4), ("abcdvwxy", 12_031 / 8), ("", 1)]
)
def test_hours_of_inference_are_those_of_all_images_of_the_splits_it_is_for(images, factor):
    found = group({}, images=list(images), on_gpu=False, processor=36.0, flops=1e12)
    assert times(found, TRAIN_IDS, VAL_IDS) == pytest.approx(factor)
    assert hours(found, factor, rate=1) == pytest.approx(0.01 * factor)  # of a core, whatever torch counted


def test_hours_of_coco_are_those_of_its_images():
    assert times(group({}, images=["a"]), TRAIN_IDS, VAL_IDS, COCO) == 118_287


def test_hours_of_a_job_that_was_made_smaller_are_those_of_its_step_whole():
    whole = group({"iterations": 2, "batch_size": 2, "max_proposals": 4000}, flops=9e12)
    smaller = group({"iterations": 2, "batch_size": 2, "max_proposals": 50}, whole.settings, flops=1e12)
    (_, factor, took), (_, other_factor, other) = extrapolated([smaller, whole], TRAIN_IDS, VAL_IDS, rate=1)
    assert (factor, took) == (other_factor, other) and took == pytest.approx(9 / 3600)
    assert "2 x 2, smaller" in row(smaller, factor, took)


def test_the_table_sums_the_hours_of_all_jobs_and_names_what_failed():
    groups = [
        group({"iterations": 2, "batch_size": 1}, {"iterations": 7200, "batch_size": 1}, jobs=3, flops=2e12, memory=9),
        group({}, jobs=5, on_gpu=False, images=["v"], fault="ended with 1 at 3 MB: Wrong."),
    ]
    rows = extrapolated(groups, TRAIN_IDS, VAL_IDS, rate=4)
    text = table(rows) + total(rows)
    assert "1.5 hours of a GPU and 0 of a core; 1 jobs failed" in text  # 3 x 3600 x 0.5 s
    assert "failed: ended with 1 at 3 MB: Wrong." in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_a_smaller_batch_and_the_memory_that_is_expected_are_named():
    found = group(
        {"iterations": 2, "batch_size": 8}, {"iterations": 2, "batch_size": 16}, memory=9_000, expected=17_000
    )
    assert "| 2 x 8 of 16 |" in row(found, 2, 1)
    assert "17,000 expected" in row(found, 2, 1)


def test_the_page_keeps_what_is_around_the_table(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    write_between(page, "new\n")
    write_between(page, "newer\n")
    assert page.read_text() == f"before\n{BEGIN}newer\n{END}after\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="has no lines"):
        write_between(page, "new\n")


def test_memory_of_a_batch_is_told_from_two_smaller(tmp_path, monkeypatch):
    def run(job, folder, limit):
        settings = json.loads(job.option("settings"))
        return Taken(job.name, job.step, settings, True, memory=1000 + 500 * settings["batch_size"])

    monkeypatch.setattr("bench.rehearsal_jobs.run", run)
    job = planned_job("bestie_train", "bestie", settings='{"batch_size":16,"crop":416}')
    taken = run_smaller(job, tmp_path, 0, (2, 4))
    assert (taken.memory, taken.expected) == (3000, 9000)
    assert taken.settings == {"batch_size": 4, "crop": 416}
    job = planned_job("classifier_train", "bestie", settings='{"batch_size":16,"epochs":16}')
    assert iterations(run_smaller(job, tmp_path, 0, (2, 4)).settings, PICTURES) == 2


def test_a_process_is_watched_and_ended_where_it_takes_too_much(tmp_path):
    (tmp_path / "rehearsal").mkdir()
    command = ["python", "-c", "import signal; print('here'); x = bytearray(200_000_000); signal.pause()"]
    status, usage, _ = watch(command, tmp_path, limit=100)
    assert status != 0 and usage.ru_maxrss > 100_000
    status, _, said = watch([*command[:2], "print('here')"], tmp_path, limit=100)
    assert (status, said) == (0, "here\n")


def train_a_little(job):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(2, 3, 16, 16)).square().mean().backward()
        optimizer.step()
    job.result = model.state_dict()


def test_counting_counts_multiplications_and_additions_and_changes_no_bit(tmp_path):
    plain, watched = (Job("step", None, {}, {}) for _ in range(2))
    train_a_little(plain)
    counted(train_a_little, tmp_path / "record.json")(watched)
    assert all(torch.equal(plain.result[key], watched.result[key]) for key in plain.result)
    forward = [2 * 2 * 16 * 16 * 9 * channels for channels in (3 * 8, 8 * 4)]
    # backward: gradients of weights and of inputs; the picture needs none
    once = 2 * forward[0] + 3 * forward[1]
    assert json.loads((tmp_path / "record.json").read_text())["flops"] == 2 * once


def test_jobs_that_failed_do_not_count_in_the_means():
    ran = Taken("a/step", "step", {}, True, seconds=2.0)
    both = Group([ran, replace(ran, fault="no", seconds=0.0)], {})
    assert both.mean("seconds") == 2


def artifact(path, ids):
    with h5py.File(path, "w") as file:
        file.create_dataset("image/id", data=ids, dtype=h5py.string_dtype())
    return path


def test_a_job_that_wrote_no_image_has_none_whatever_it_read(tmp_path):
    read, empty = artifact(tmp_path / "read.h5", ["a", "b"]), artifact(tmp_path / "empty.h5", [])
    (tmp_path / "model.pt").write_text("")
    assert job_images(Job("infer", None, {"images": read}, {"labels": empty})) == []
    assert job_images(Job("train", None, {"images": read}, {"model": tmp_path / "model.pt"})) == ["a", "b"]
