"""Which jobs run again after a change: exactly those that it touches, and what follows from them."""

import resource
from contextlib import ExitStack

import pytest
from tiny_workflow import jobs

TABLE = {"evaluation_summarise", "report_render_report", "all"}
END = {"report_list_costs"} | TABLE
LISTED = {"evaluation_list_results"} | END  # after any change of the configuration
SEMANTIC = {"postprocess_refine_with_crf bestie", "evaluation_score_semantics bestie train"}


def maskrcnn(run: str) -> set[str]:
    scores = {f"evaluation_score_instances {run} val", f"evaluation_recommend_score {run} maskrcnn model"}
    return {f"maskrcnn_train {run}", f"maskrcnn_infer {run}", *scores}


def inference(run: str, number: int = 1) -> set[str]:
    """The network of a round at work, and what is scored of it."""
    scores = {f"evaluation_score_labels {run} 0{number}", f"evaluation_score_instances {run} round0{number}"}
    return {f"bestie_infer {run} 0{number}", *scores}


def training(run: str) -> set[str]:
    return {f"bestie_train {run} 00", *inference(run)}


def labels(run: str) -> set[str]:
    return {f"bestie_label {run}", f"evaluation_score_labels {run} 00", *training(run)}


def semantic_system(run: str, *splits: str) -> set[str]:
    """The semantic network, and the splits of which its maps are scored."""
    steps = ("learning_to_segment_infer", "evaluation_score_semantics")
    return {f"learning_to_segment_train {run}", *(f"{step} {run} {split}" for step in steps for split in splits)}


NETWORKS = semantic_system("learning_to_segment", "train", "val") | semantic_system("supervised_semantic", "val")
BOTH = labels("bestie") | labels("bestie_points") | maskrcnn("bestie")
PEAKS = {"classifier_find_peaks bestie"} | labels("bestie") | maskrcnn("bestie")
MAPS = {"classifier_infer bestie"} | SEMANTIC | PEAKS | BOTH
CLASSIFIER = {"classifier_train bestie"} | MAPS | maskrcnn("supervised") | NETWORKS
SCORES = {
    "evaluation_score_instances bestie round01",
    "evaluation_score_instances bestie val",
    "evaluation_score_instances bestie_points round01",
    "evaluation_score_instances supervised val",
    "evaluation_recommend_score bestie maskrcnn model",
    "evaluation_recommend_score supervised maskrcnn model",
}


TRAINED = training("bestie") | training("bestie_points")
EDITS = {
    "a step": ([("bestie/label.py", "(semantic > 0) &", "(semantic > 1) &")], BOTH | END),
    "a step in the middle": ([("classifier/find_peaks.py", "values.shape == (", "values.shape[:] == (")], PEAKS | END),
    "a noun that one step imports": (
        [("bestie/losses.py", "if hard_pixels >= 1:", "if hard_pixels > 1:")],
        TRAINED | maskrcnn("bestie") | END,
    ),
    "the last step": ([("evaluation/summarise.py", '"+".join', '" + ".join')], TABLE),
    "what is doubtful": ([("engine/verdicts.py", "MOST_CUES = 5.0", "MOST_CUES = 6.0")], TABLE),
    "what to try": ([("engine/remedies.py", "_MORE, _LESS = 1.5", "_MORE, _LESS = 1.6")], TABLE),
    "comments, docstrings, layout and the texts of settings": (
        [
            ("bestie/label.py", "STEP = Step(", "# a remark\nSTEP = Step("),
            ("classifier/train.py", '"""Trains', '"""Really trains'),
            (
                "vision/loop.py",
                "    settings: Training = job.settings\n",
                "\n\n    settings: Training = (job.settings)\n",
            ),
            ("data/settings.py", "The generated data set.", "Drawn pictures."),
        ],
        set(),
    ),
    "what the engine says and does, messages, log lines, annotations and names": (
        [
            ("engine/writers.py", "The disk is full", "No space left on the disk"),
            (
                "engine/step.py",
                "        started = time.monotonic()\n",
                "        log.debug('')\n        started = time.time()\n",
            ),
            ("vision/run_lengths.py", "its counts are not a compressed RLE", "no RLE"),
            ("vision/loop.py", '    log.info("ended by a signal', '    log.warning("ended by a signal'),
            ("bestie/label.py", "def label(i: int) -> Labelled", "def label(i: object) -> Labelled"),
            ("bestie/label.py", "    without = counts", "    empty = counts"),
            ("bestie/label.py", 'counts["images"], without, units, kinds', 'counts["images"], empty, units, kinds'),
            ("plan/listing.py", '"""The document of', '"""What is listed by'),
        ],
        set(),
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_an_edit_of_code(tiny, case):
    edits, expected = EDITS[case]
    with ExitStack() as stack:
        for path, before, after in edits:
            stack.enter_context(tiny.edited(f"wsis_steps/{path}", before, after))
        assert tiny.planned() == expected


ABLATION = {"system": "bestie", "maskrcnn": False, "steps": {"bestie_train": {"refinement": False}}}
SETTINGS = {
    "a setting of a step": (
        {"steps__bestie_infer": {"min_area": 10, "window": 15, "min_center": 0.2}},
        inference("bestie") | inference("bestie_points") | maskrcnn("bestie") | LISTED,
    ),
    "a setting of a run": (
        {"runs__bestie_points__steps": {"bestie_label": {"min_area": 11}}},
        labels("bestie_points") | LISTED,
    ),
    "a setting of the evaluation": (
        {"steps__evaluation_score_instances": {"void": "drop"}, "steps__evaluation_score_semantics": {}},
        SCORES | LISTED,
    ),
    "one round more": (
        {"runs__bestie__rounds": 2},
        {"bestie_train bestie 01"} | inference("bestie", 2) | maskrcnn("bestie") | LISTED,
    ),
    "a run more": ({"runs__ablation": ABLATION}, training("ablation") | LISTED),
    "a run less": ({"runs__supervised": None}, LISTED),
    "what becomes of labels that most pictures lack": ({"verdict": "stop"}, set()),
    "the seed of a run": (
        {"runs__supervised__seed": 1},
        {"classifier_train supervised"} | maskrcnn("supervised") | LISTED,
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_change_of_the_configuration(tiny, case):
    changes, expected = SETTINGS[case]
    assert tiny.planned(configuration=tiny.configured(**changes)) == expected


FILES = {
    "the time of a small file": (lambda tiny: tiny.touched("bestie/labels/round00.h5"), set()),  # equal checksums
    "the time of a file beyond 1 MB": (
        lambda tiny: tiny.touched("bestie/classifier/model.pt"),
        (MAPS | maskrcnn("supervised") | NETWORKS | END),
    ),
    "a result that is gone": (
        lambda tiny: tiny.without("bestie/labels/round00.h5"),
        labels("bestie") | maskrcnn("bestie") | END,
    ),
    "a result that was being written": (
        lambda tiny: tiny.unfinished("bestie_points/bestie/round00/model.pt"),
        training("bestie_points") | END,
    ),
    "a last result that is gone": (lambda tiny: tiny.without("summary.csv"), TABLE),
}


@pytest.mark.parametrize("case", FILES)
def test_a_change_of_files_on_another_machine(tiny, case):
    """Threads, cores and resources are others too, which changes nothing."""
    change, expected = FILES[case]
    options = ["--cores", "4", "--set-threads", "bestie_train=3", "--resources", "gpu=1", "mem_mb=30000"]
    with change(tiny):
        assert tiny.planned(*options) == expected


def test_nothing_to_do_takes_no_time(tiny):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status, said = tiny.call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert status == 0 and "Nothing to be done" in said and list(jobs(said)) == []
    # of computing, for other tests run at the same time
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
