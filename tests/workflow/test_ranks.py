"""Ranks: two processes that share every batch train the network that one would, and one that dies ends the other."""

import functools
import json
import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest
import torch
import trainings
from artifacts import write_images, write_labels, write_semantic
from bsds_tree import write_tree
from calls import call, files
from patience import PATIENCE
from tiny_workflow import ROOT
from torch import distributed, nn
from torch.nn import functional
from trainings import STEPS, paths, settings_of

from wsis_steps.classifier.settings import ClassifierInfer
from wsis_steps.engine import shards
from wsis_steps.engine.documents import read_lines
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.step import Job, Step
from wsis_steps.vision import ranks

ITERATIONS = 20
context = multiprocessing.get_context("fork")
# every image has many anchors, regions and proposals: with room for all of them, none is drawn at random
ALL = {
    "maskrcnn.train": {"rois": 10_000},
    "annotation_consistency.train_prediction": {"rois": 10_000, "use_scores": True},
    "community_learning.train": {"sampled_objects": 10_000, "sampled_background": 10_000, "accumulation": 1},
    "bestie.train": {"hard_pixels": 0.3, "refine_from": 5},
    "classifier.train": {"batch_size": 4, "epochs": 14},
}
# Rounding is not amplified by gradient descent as it is by Adam, which divides small gradients by themselves. What has
# jumps (the best labelling, hard pixels) learns slowly, so that none falls on the other side of one.
COMMON = {"optimizer": "sgd", "learning_rate": 1e-3}
SLOW = {
    "bestie.train": 3e-6,
    "annotation_consistency.train_conditional": 3e-7,
    "annotation_consistency.train_prediction": 1e-4,
}
# in double precision, as far as the step allows it
DOUBLE = (
    "classifier.train",
    "community_learning.train",
    "learning_to_segment.train",
    "maskrcnn.train",
    "proposals.train_edges",
)


def without_chance(double: bool) -> None:
    """Draws of the network become constants: ranks have random numbers of their own. `double` turns single precision
    into double."""
    if double:
        torch.set_default_dtype(torch.float64)
        torch.Tensor.float = torch.Tensor.double
    torch.randperm = lambda count, device=None, **_: torch.arange(count, device=device)
    torch.rand = lambda *shape, **_: torch.linspace(0.1, 0.9, torch.Size(shape).numel()).view(shape)
    nn.Dropout.forward = lambda self, values: values


def become(rank: int, count: int, port: int) -> None:
    """What torchrun tells a process, which meets the others at a store that is there already."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    agent = {"TORCHELASTIC_USE_AGENT_STORE": True, "TORCHELASTIC_RESTART_COUNT": 0}
    os.environ.update({name: str(value) for name, value in {**told, **agent}.items()})


def together(count: int, function, *arguments) -> list:
    """What function(*arguments) gives in each of `count` forked ranks; with 1 in a process without ranks."""

    def child(rank: int, pipe) -> None:
        torch.set_num_threads(1)  # OpenMP's threads do not survive a fork: a child that waits for them waits for ever
        if count > 1:
            become(rank, count, store.port)
        try:
            pipe.send(function(*arguments))
        except BaseException:
            pipe.send(traceback.format_exc())
            raise

    # the store takes whichever port is free: one that a rank took later might be gone by then
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    pipes, children = {}, []
    for rank in range(count):
        ours, theirs = context.Pipe(duplex=False)
        pipes[ours] = rank
        children.append(context.Process(target=child, args=(rank, theirs), daemon=True))
        children[-1].start()
        theirs.close()  # so that a child that dies is one that says no more
    found = {}
    try:
        while pipes:
            ready = connection.wait(pipes, PATIENCE)
            assert ready, "they hang"
            for pipe in ready:
                found[pipes.pop(pipe)] = pipe.recv()
    finally:
        for process in children:
            process.kill()
            process.join()
    return [found[rank] for rank in range(count)]


def train(step: str, settings: dict, arguments: dict) -> tuple[int, list[str]]:
    without_chance(step in DOUBLE)
    outcome = call(step, settings, **arguments)
    return outcome.status, outcome.errors


@pytest.mark.parametrize("step", [*STEPS, "proposals.train_edges"])
def test_two_ranks_train_the_network_of_one_process(inputs, tmp_path, step):
    if step == "proposals.train_edges":
        root = write_tree(tmp_path / "bsds", 4)
        settings = {"root": str(root), "widths": [4, 6], "crop": 64, "batch_size": 2, "iterations": ITERATIONS}
        given = {folder: {"model": tmp_path / folder / "out/model.pt", "metrics": tmp_path / folder / "out/metrics"}
                 for folder in ("one", "two")}  # fmt: skip
    else:
        settings = {**settings_of(step, ITERATIONS), **ALL.get(step, {})}
        given = {folder: paths(inputs, step, tmp_path / folder) for folder in ("one", "two")}
    settings = {**settings, **COMMON, "learning_rate": SLOW.get(step, COMMON["learning_rate"])}
    assert together(1, train, step, settings, given["one"]) == [(0, [])]
    assert together(2, train, step, settings, given["two"]) == [(0, []), (0, [])]
    states = [torch.load(paths["model"], weights_only=True)["model"] for paths in given.values()]
    assert states[0].keys() == states[1].keys()
    for name, one in states[0].items():
        near = 1e-5 if "running_" in name else 1e-6  # statistics are no parameters; they are of the pictures' size
        torch.testing.assert_close(states[1][name], one, rtol=near, atol=near)
    lines = [read_lines(paths["metrics"]) for paths in given.values()]
    assert len(lines[0]) >= ITERATIONS
    assert not [path for path in files(tmp_path / "two") if path.name not in ("model.pt", "metrics")]
    if step.endswith("train_conditional"):  # its surrogate is a small difference over a smaller number
        return
    for one, two in zip(*lines, strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-5)


def train_in_halves(*arguments) -> tuple[int, list[str]]:
    """As `train`, in one process whose batch normalizations look at what two ranks would have, each by itself."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        found = torch.empty_like(maps)
        for rank in (0, 1):
            kept = (self.running_mean, self.running_var) if rank == 0 else (None, None)
            found[rank::2] = functional.batch_norm(
                maps[rank::2], *kept, self.weight, self.bias, True, self.momentum, self.eps
            )
        return found

    nn.BatchNorm2d.forward = forward
    return train(*arguments)


def test_ranks_may_take_the_statistics_of_their_own_part(inputs, tmp_path):
    step = "classifier.train"
    settings = {**settings_of(step, ITERATIONS), **COMMON, "batch_size": 4, "epochs": 3, "batch_norm": "own"}
    given = [paths(inputs, step, tmp_path / folder) for folder in ("one", "two")]
    assert together(1, train_in_halves, step, settings, given[0]) == [(0, [])]
    assert together(2, train, step, settings, given[1]) == [(0, []), (0, [])]
    one, two = (torch.load(paths["model"], weights_only=True)["model"] for paths in given)
    for name in one:
        if "num_batches" not in name:
            torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-5)


def on_a_rank(check) -> bool:
    ranks.join(torch.device("cpu"))
    torch.manual_seed(0)
    check()
    return True


def check_batch_norm() -> None:
    own, joint = nn.BatchNorm2d(3).double(), nn.BatchNorm2d(3).double()
    ranks.join_batch_norms(joint)
    nn.init.uniform_(own.weight)
    joint.load_state_dict(own.state_dict())
    whole = (torch.randn(5, 3, 4, 6, dtype=torch.float64) + 3).requires_grad_()
    part = slice(0, 2) if ranks.number() == 0 else slice(2, 5)  # of unequal size
    mine = whole.detach()[part].requires_grad_()
    weights = torch.randn(5, 3, 4, 6, dtype=torch.float64)
    (own(whole) * weights).sum().backward()
    (joint(mine) * weights[part]).sum().backward()
    torch.testing.assert_close(mine.grad, whole.grad[part])
    torch.testing.assert_close(joint.running_mean, own.running_mean)
    torch.testing.assert_close(joint.running_var, own.running_var)
    torch.testing.assert_close(joint.eval()(mine), own.eval()(whole)[part])


def check_largest() -> None:
    values = torch.rand(2, 50).round(decimals=2)  # some are equal
    whole, mine = values.clone().requires_grad_(), values[ranks.number()].clone().requires_grad_()
    expected, found = ranks_of_one(whole.flatten(), 0.33), ranks.mean_of_largest(mine, 0.33)
    assert 2 * expected.item() == pytest.approx(sum_of_both(found), rel=1e-6)
    found.backward()
    chosen = mine.grad[mine.grad != 0]
    torch.testing.assert_close(chosen, torch.full_like(chosen, 2 / 33))


def ranks_of_one(values: torch.Tensor, share: float) -> torch.Tensor:
    return values.sort(descending=True).values[: int(share * len(values))].mean()


def sum_of_both(value: torch.Tensor) -> float:
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total.item()


def check_divisors() -> None:
    rank = ranks.number()
    assert ranks.divisor(3 * rank) == ranks.divisor(torch.tensor(3 * rank)) == 1.5
    assert ranks.divisor(0) == 0.5  # at least 1 of all
    assert ranks.any_of(rank == 1) and not ranks.any_of(False)


def check_gradients() -> None:
    shared, one_rank, nobody = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    shared.grad = torch.full((2,), float(ranks.number()))
    if ranks.number() == 1:
        one_rank.grad = torch.ones(2)
    assert ranks.average_gradients([shared, one_rank, nobody], [torch.tensor(4.0 * ranks.number())]) == [2.0]
    assert shared.grad.tolist() == one_rank.grad.tolist() == [0.5, 0.5] and nobody.grad is None


@pytest.mark.parametrize("check", [check_batch_norm, check_largest, check_divisors, check_gradients])
def test_what_ranks_do_together_is_what_one_does_with_all(check):
    assert together(2, functools.partial(on_a_rank, check)) == [True, True]


def test_a_batch_that_ranks_cannot_share_evenly_is_one_sentence(inputs, tmp_path):
    settings = {**settings_of("classifier.train", 4), "batch_size": 3}
    outcomes = together(2, train, "classifier.train", settings, paths(inputs, "classifier.train", tmp_path))
    assert [status for status, _ in outcomes] == [2, 2]
    assert "2 processes cannot share a batch of 3 evenly" in outcomes[0][1][0]


def test_a_rank_that_dies_ends_the_job(inputs, tmp_path):
    given = paths(inputs, "classifier.train", tmp_path)
    settings = {**settings_of("classifier.train", 100_000), "batch_size": 2}
    words = [word for name, path in given.items() for word in (f"--{name}", str(path))]
    command = [sys.executable, "-m", "wsis_steps.classifier.train", *words, "--settings", json.dumps(settings)]
    variables = {**os.environ, "WSIS_CHECKPOINT_SECONDS": "0"}
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen([*command, "--ranks", "2"], cwd=ROOT, env=variables, stderr=said, stdout=said)
    try:
        while process.poll() is None and not (given["work"] / "checkpoint.pt").exists():
            time.sleep(0.05)
        assert process.poll() is None, (tmp_path / "said").read_text()
        ranks_started = psutil.Process(process.pid).children()
        ranks_started[1].kill()
        assert process.wait(timeout=PATIENCE) != 0
    finally:
        process.kill()
    assert len(ranks_started) == 2 and not any(map(psutil.Process.is_running, ranks_started))
    assert "exitcode  : -9" in (tmp_path / "said").read_text()
    assert not [path for path in files(tmp_path) if "out" in path.parts]


def test_checkpoints_of_one_process_and_of_two_are_the_same_training(inputs, tmp_path):
    """A job that gets another number of GPUs when it is tried again goes on from where it was."""
    step = "learning_to_segment.train"
    settings = {**settings_of(step, ITERATIONS), **COMMON}
    given = {folder: paths(inputs, step, Path(tmp_path / folder)) for folder in ("one", "cut")}
    assert together(1, train, step, settings, given["one"]) == [(0, [])]
    assert together(2, train_until, 8, step, settings, given["cut"]) == [143, 143]
    assert (given["cut"]["work"] / "checkpoint.pt").exists()
    assert together(1, train, step, settings, given["cut"]) == [(0, [])]
    states = [torch.load(given[name]["model"], weights_only=True)["model"] for name in ("one", "cut")]
    for name, one in states[0].items():
        torch.testing.assert_close(states[1][name], one, rtol=1e-6, atol=1e-6)


def train_until(iteration: int, step: str, settings: dict, arguments: dict) -> int:
    """The exit status of a training of which one rank alone is told to end."""
    from wsis_steps.vision import loop

    plain = loop.advance

    def advance(model, optimizer, loss, batch, now, *more):
        if now == iteration and ranks.number() == 1:
            os.kill(os.getpid(), 15)
        return plain(model, optimizer, loss, batch, now, *more)

    loop.advance = advance
    return train(step, settings, arguments)[0]


def command(step: str, ranks: int, given: dict[str, Path], settings: dict) -> list[str]:
    words = [word for name, path in given.items() for word in (f"--{name}", str(path))]
    return [
        sys.executable, "-m", f"wsis_steps.{step}", *words, "--settings", json.dumps(settings),
        "--ranks", str(ranks), "--threads", str(ranks),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, Path]:
    """Pictures of three blocks, and two networks that were trained on them."""
    folder = tmp_path_factory.mktemp("trained")
    found = {
        "images": write_images(folder / "images.h5", train=19, val=4),
        "labels": write_labels(folder / "labels.h5", count=19),
        "semantic": write_semantic(folder / "semantic.h5", count=19),
    }
    for step, model in (("classifier.train", "classifier"), ("bestie.train", "bestie")):
        given = {name: found[name] for name in trainings.STEPS[step][1]}
        outputs = {"model": folder / f"{model}.pt", "metrics": folder / "metrics"}
        assert call(step, settings_of(step, 2), **given, **outputs).status == 0
        found[model] = folder / f"{model}.pt"
    return found


@pytest.mark.parametrize(
    ("step", "model", "outputs", "settings"),
    [
        ("classifier.infer", "classifier", ("maps",), {"size": 32}),
        ("bestie.infer", "bestie", ("labels", "predictions"), {"long_side": 0}),
    ],
)
def test_ranks_of_inference_make_the_file_of_one_process(trained, tmp_path, step, model, outputs, settings):
    for ranks_of_job in (1, 3):
        written = {name: tmp_path / f"{ranks_of_job}" / name for name in outputs}
        given = {"images": trained["images"], "model": trained[model], **written}
        log = tmp_path / f"{ranks_of_job}.log"
        subprocess.run([*command(step, ranks_of_job, given, settings), "--log", str(log)], cwd=ROOT, check=True)
    for name in outputs:
        assert (tmp_path / "3" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    assert sorted(path.name for path in files(tmp_path / "3")) == sorted(outputs)
    said = log.read_text()
    assert "device cpu, 1 threads" in said and f"wrote {tmp_path}/3/{outputs[0]}" in said.splitlines()[-1]


@pytest.mark.parametrize("killed", ["rank", "job"])
def test_neither_a_rank_of_inference_nor_its_job_outlives_the_other(trained, tmp_path, killed):
    given = {"images": trained["images"], "model": trained["classifier"], "maps": tmp_path / "out/maps.h5"}
    settings = {"size": 32, "scales": [8 + k / 1000 for k in range(1000)]}  # minutes of work
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command("classifier.infer", 2, given, settings), cwd=ROOT, stderr=said)
    try:
        while process.poll() is None and len(list(tmp_path.glob("out/*/.*.partial"))) < 2:
            started = psutil.Process(process.pid).children()
            time.sleep(0.05)
        assert process.poll() is None, (tmp_path / "said").read_text()
        (started[1] if killed == "rank" else process).kill()
        process.wait(timeout=PATIENCE)
        left = psutil.wait_procs(started, timeout=PATIENCE)[1]
    finally:
        for one in (process, *started):
            with suppress(psutil.NoSuchProcess):
                one.kill()
    assert len(started) == 2 and not left
    if killed == "rank":
        assert process.returncode == 1
        assert "One of 2 processes failed, and the others were ended." in (tmp_path / "said").read_text()
        assert [path.name for path in files(tmp_path)] == ["said"]


def test_two_results_of_ranks_are_both_new_or_both_old(tmp_path):
    outputs = {name: tmp_path / name for name in ("labels", "predictions")}

    def join(parts, path):
        if "predictions" in path.name:
            raise InputError("cannot be joined")
        path.write_text("new")

    def main(job: Job) -> None:
        raise AssertionError("is not called here")

    step = Step("test", ClassifierInfer, outputs=tuple(outputs), join=join)
    words = [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
    for path in outputs.values():
        path.write_text("old")
    with patch.object(shards, "_call_together", lambda calls: 0), pytest.raises(SystemExit) as ended:
        step.run(main, [*words, "--ranks", "2"])
    assert ended.value.code == 2
    assert [path.read_text() for path in outputs.values()] == ["old", "old"]
    assert sorted(path.name for path in files(tmp_path)) == sorted(outputs)


def test_what_is_wrong_for_all_ranks_is_said_once(trained, tmp_path):
    given = {"images": tmp_path / "no.h5", "model": trained["bestie"], "maps": tmp_path / "maps.h5"}
    words = [*command("classifier.infer", 3, given, {}), "--log", str(tmp_path / "log")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("no.h5 does not exist") == 1
    assert (tmp_path / "log").read_text().count("no.h5 does not exist") == 1


def test_what_one_rank_of_inference_refuses_is_one_sentence(trained, tmp_path):
    given = {"images": trained["images"], "model": trained["bestie"], "maps": tmp_path / "maps.h5"}
    done = subprocess.run(command("classifier.infer", 2, given, {}), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "bestie_train" in done.stderr and not files(tmp_path)
