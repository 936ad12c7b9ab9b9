"""The training loop: order of the data, schedules, checkpoints, resuming, and what stops it."""

import json
import logging
import math
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Dataset

from wsis_steps.annotation_consistency.settings import AnnotationConsistencyInitialise
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.outcome import guarded
from wsis_steps.engine.step import Job
from wsis_steps.vision import loop, metrics
from wsis_steps.vision.loop import Batches, build_loader, train, watch_workers
from wsis_steps.vision.schedule import build_optimizer, rate
from wsis_steps.vision.settings import Training

ITERATIONS = 12


@settings(deadline=None)
@given(count=st.integers(1, 9), batch_size=st.integers(1, 5), seed=st.integers(0, 99))
def test_each_pass_is_a_permutation_of_its_own(count, batch_size, seed):
    passes = 3
    batches = list(Batches(count, batch_size, seed, 0, -(-passes * count // batch_size)))
    order = [index for batch in batches for index, _, _ in batch][: passes * count]
    for k in range(passes):
        assert sorted(order[k * count : (k + 1) * count]) == list(range(count))
    assert [[(t, p) for _, t, p in batch] for batch in batches] == [
        [(t, p) for p in range(batch_size)] for t in range(len(batches))
    ]


def test_passes_differ_and_so_do_seeds():
    def order(seed):
        return [b[0][0] for b in Batches(30, 1, seed, 0, 60)]

    assert order(0)[:30] != order(0)[30:] and order(0) != order(1)


@settings(deadline=None)
@given(count=st.integers(1, 9), batch_size=st.integers(1, 5), start=st.integers(0, 20))
def test_starting_later_gives_the_same_batches(count, batch_size, start):
    whole = list(Batches(count, batch_size, 7, 0, 20))
    rest = Batches(count, batch_size, 7, start, 20)
    assert list(rest) == whole[start:] and len(rest) == 20 - start


def schedule(iterations=1000, **values):
    made = Training(**values)
    return np.array([rate(made, t, iterations) for t in range(iterations)])


def test_constant_drop_and_poly_have_their_closed_form():
    t = np.arange(1000)
    np.testing.assert_allclose(schedule(), 1)
    dropped = schedule(schedule="drop", drop_at=(0.3, 0.6))
    np.testing.assert_allclose(dropped, np.select([t < 300, t < 600], [1, 0.1], 0.01))
    np.testing.assert_allclose(schedule(schedule="poly"), (1 - t / 1000) ** 0.9)


def test_drops_to_given_shares_are_those_of_a_published_schedule():
    """Kohl et al.: 1e-4, from batch 80,000 on 0.5e-4, from 160,000 on 1e-5, of 240,000."""
    settings = AnnotationConsistencyInitialise()
    found = [1e-4 * rate(settings, t, settings.iterations) for t in (0, 79_999, 80_000, 159_999, 160_000, 239_999)]
    assert settings.iterations == 240_000 and settings.batch_size == 10 and settings.learning_rate == 1e-4
    assert found == pytest.approx([1e-4, 1e-4, 0.5e-4, 0.5e-4, 1e-5, 1e-5])
    with pytest.raises(ValueError, match="drop_to has 1 values, but drop_at has 2"):
        Training(drop_at=(0.3, 0.6), drop_to=(0.5,))


def test_the_shares_of_a_published_schedule_go_with_its_drops_only():
    made = AnnotationConsistencyInitialise(drop_at=(0.5,))
    assert [rate(made, t, 100) for t in (0, 49, 50, 99)] == pytest.approx([1, 1, 0.1, 0.1])
    assert AnnotationConsistencyInitialise.model_validate_json(made.model_dump_json()) == made
    assert AnnotationConsistencyInitialise(drop_at=(0.5,), drop_to=(0.3,)).drop_to == (0.3,)
    assert AnnotationConsistencyInitialise(drop_at=(1 / 3, 2 / 3)).drop_to == (0.5, 0.1)
    with pytest.raises(ValueError, match="drop_to has 1 values, but drop_at has 2"):
        AnnotationConsistencyInitialise(drop_to=(0.5,))


def test_one_cycle_rises_for_a_quarter_and_ends_at_nothing():
    factors = schedule(schedule="one_cycle")
    assert factors[0] == pytest.approx(0.04) and factors[250] == pytest.approx(1) and factors.argmax() == 250
    assert (np.diff(factors[:251]) > 0).all() and (np.diff(factors[250:]) < 0).all()
    assert factors[125] == pytest.approx(0.52) and factors[625] == pytest.approx(0.5)
    assert 0 < factors[-1] < 1e-4


def test_warm_up_multiplies_the_schedule():
    plain, warm = schedule(schedule="poly"), schedule(schedule="poly", warm_up=100)
    t = np.arange(1000)
    np.testing.assert_allclose(warm / plain, np.where(t < 100, 0.001 + 0.999 * t / 100, 1))


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_optimizers_take_groups_with_rates_of_their_own(name, kind):
    one, two = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    wanted = Training(optimizer=name, learning_rate=0.5, weight_decay=0.25)
    optimizer = build_optimizer(wanted, [{"params": [one]}, {"params": [two], "lr": 5.0}])
    assert type(optimizer).__name__ == kind
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 5.0]
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.25}


class Noise(Dataset):
    """Seven samples that depend on the index, and on nothing but iteration and place besides."""

    def __len__(self):
        return 7

    def __getitem__(self, key):
        index, *place = key
        return torch.from_numpy(np.random.default_rng((index, *place)).random((3, 4, 4)).astype(np.float32))


def network():
    """Everything that has a state: batch statistics, dropout (torch's generator), momentum."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 1)
    )


def loss(model, batch, iteration):
    value = (model(batch) - 1).square().mean()
    return {"half": value / 2, "total": value}


def job(folder, work=True, **values):
    folder.mkdir(exist_ok=True)
    wanted = Training(**{"batch_size": 3, "learning_rate": 0.05, "optimizer": "adam", "schedule": "poly", **values})
    return Job("test", wanted, {}, {"metrics": folder / "metrics"}, work=folder / "work" if work else None)


def run(made, cost=loss, iterations=ITERATIONS):
    model = network()
    optimizer = build_optimizer(made.settings, [{"params": list(model.parameters())}])
    train(made, model, optimizer, Noise(), cost, iterations, torch.device("cpu"))
    return model


class Killed(BaseException):
    pass


def until(iteration, action):
    """A loss that does something before the given iteration."""

    def cost(model, batch, now):
        if now == iteration:
            action()
        return loss(model, batch, now)

    return cost


def kill():
    raise Killed


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


@pytest.fixture(autouse=True)
def _checkpoint_each_iteration(monkeypatch):
    monkeypatch.setenv("WSIS_CHECKPOINT_SECONDS", "0")


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_killed_and_resumed_is_uninterrupted_bit_for_bit(tmp_path, optimizer, monkeypatch):
    monkeypatch.setattr(loop, "METRIC_POINTS", 3)  # so that means span the place where it is killed
    whole = run(job(tmp_path / "whole", optimizer=optimizer))
    for iteration in (6, 11):
        with pytest.raises(Killed):
            run(job(tmp_path / "cut", optimizer=optimizer), until(iteration, kill))
    resumed = run(job(tmp_path / "cut", optimizer=optimizer))
    assert same(whole, resumed) and not same(whole, network())
    assert (tmp_path / "whole/metrics").read_text() == (tmp_path / "cut/metrics").read_text()


def test_resuming_goes_on_and_does_not_begin_again(tmp_path, caplog):
    with pytest.raises(Killed):
        run(job(tmp_path), until(6, kill))
    seen = []
    with caplog.at_level(logging.INFO, "wsis"):
        run(job(tmp_path), lambda model, batch, now: seen.append(now) or loss(model, batch, now))
    assert seen == list(range(6, ITERATIONS + 1)) and "resuming after iteration 5" in caplog.text


@pytest.mark.parametrize(("weights", "said"), [("none", True), ("imagenet", False)])
def test_random_weights_are_said_where_a_training_begins(tmp_path, caplog, weights, said):
    with caplog.at_level(logging.INFO, "wsis"), pytest.raises(Killed):
        run(job(tmp_path, weights=weights), until(3, kill))
    assert ("starts with random weights" in caplog.text) == said
    caplog.clear()
    run(job(tmp_path, weights=weights))
    assert "starts with random weights" not in caplog.text


def test_speed_is_told_and_how_much_of_the_time_went_into_waiting(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: now[0])

    def slow(seconds):
        for number in range(13):
            now[0] += 100 if number < metrics.WARM else seconds
            yield number

    speed = metrics.Speed(images=8)
    for _ in speed.watch(slow(0.5)):
        now[0] += 1.5
    with caplog.at_level(logging.INFO, "wsis"):
        speed.tell()
    assert caplog.messages == ["4 images/s, 25.0 % of the time waiting for them"]  # ten batches of 8 in 20 s
    short = metrics.Speed(images=8)
    assert len(list(short.watch(range(metrics.WARM)))) == metrics.WARM
    short.tell()
    assert len(caplog.messages) == 1


def test_sigterm_saves_and_ends_with_143(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("WSIS_CHECKPOINT_SECONDS", "1000")
    made = job(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run(made, until(4, lambda: setattr(made, "terminated", True)))
    assert ended.value.code == 143
    with caplog.at_level(logging.INFO, "wsis"):
        resumed = run(job(tmp_path))
    assert "resuming after iteration 4" in caplog.text and same(resumed, run(job(tmp_path / "whole")))


def test_a_training_that_was_done_is_not_done_again(tmp_path):
    first = run(job(tmp_path))  # the step would remove the checkpoint now
    second = run(job(tmp_path), until(1, kill))
    assert same(first, second) and len((tmp_path / "metrics").read_text().splitlines()) == ITERATIONS


@pytest.mark.parametrize("change", ["settings", "code", "inputs"])
def test_a_checkpoint_of_something_else_is_set_aside(tmp_path, caplog, change):
    data = tmp_path / "data"

    def made(other):
        wanted = job(tmp_path / "job", seed=1 if other and change == "settings" else 0)
        wanted.code = "b" if other and change == "code" else "a"
        data.write_text("b" if other and change == "inputs" else "a")
        wanted.inputs = {"data": data, "pretrained": None}
        return wanted

    with pytest.raises(Killed):
        run(made(False), until(6, kill))
    with caplog.at_level(logging.INFO, "wsis"), pytest.raises(Killed):
        run(made(True), until(1, kill))
    assert "set aside" in caplog.text
    assert [path.name for path in (tmp_path / "job/work").iterdir()] == ["checkpoint.other.pt"]


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_checkpoint_is_no_obstacle(tmp_path, caplog, damage):
    with pytest.raises(Killed):
        run(job(tmp_path), until(6, kill))
    path = tmp_path / "work/checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000] if damage is None else damage)
    resumed = run(job(tmp_path))
    assert "cannot be read" in caplog.text and same(resumed, run(job(tmp_path / "whole")))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_its_terms(tmp_path, bad, monkeypatch):
    monkeypatch.setattr(loop, "METRIC_POINTS", 1)  # so that no line of the metrics is due when it happens

    def cost(model, batch, now):
        value = (model(batch) - 1).square().mean()
        return {"center": value * (bad if now == 4 else 1), "total": value}

    with pytest.raises(InputError, match="not finite.*center (nan|inf).*learning rate"):
        run(job(tmp_path), cost)
    saved = torch.load(tmp_path / "work/checkpoint.pt", weights_only=True)
    assert saved["iteration"] == 3 and all(torch.isfinite(v).all() for v in saved["model"].values())
    assert not (tmp_path / "metrics").exists()


def test_without_a_work_folder_nothing_is_kept(tmp_path):
    run(job(tmp_path, work=False))
    assert [path.name for path in tmp_path.iterdir()] == ["metrics"]


def test_metrics_are_means_of_all_iterations(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "METRIC_POINTS", 3)
    values = []

    def cost(model, batch, now):
        terms = loss(model, batch, now)
        values.append(float(terms["total"].detach()))
        return terms

    run(job(tmp_path), cost)
    lines = [json.loads(line) for line in (tmp_path / "metrics").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [4, 8, 12]
    np.testing.assert_allclose([line["total"] for line in lines], np.reshape(values, (3, 4)).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose([line["half"] * 2 for line in lines], [line["total"] for line in lines], rtol=1e-5)
    expected = [0.05 * rate(Training(schedule="poly"), line["iteration"] - 1, ITERATIONS) for line in lines]
    np.testing.assert_allclose([line["learning_rate"] for line in lines], expected)


def test_torchs_random_numbers_differ_by_seed_and_by_iteration(tmp_path):
    drawn = {}

    def cost(model, batch, now):
        drawn.setdefault(seed, []).append(float(torch.rand(())))
        return loss(model, batch, now)

    for seed in (0, 1, 2, 3407):
        run(job(tmp_path / str(seed), seed=seed), cost)
    values = [value for one in drawn.values() for value in one]
    assert len(set(values)) == len(values) == 4 * ITERATIONS


def test_a_worker_process_loads_the_same(tmp_path):
    made = job(tmp_path / "two")
    made.threads = 3
    before = signal.getsignal(signal.SIGTERM)
    assert same(run(made), run(job(tmp_path / "one"))) and signal.getsignal(signal.SIGTERM) == before


def test_a_worker_is_started_where_a_core_is_left_for_it(tmp_path):
    batches, cpu = Batches(4, 2, 0, 0, 2), torch.device("cpu")
    workers = {threads: build_loader([0], batches, threads, cpu, None).num_workers for threads in (1, 2, 3, 8)}
    assert workers == {1: 0, 2: 0, 3: 1, 8: 1}
    assert build_loader([0], batches, 8, torch.device("cuda"), None).num_workers == 7


def test_an_interval_that_is_no_number_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("WSIS_CHECKPOINT_SECONDS", "often")
    with pytest.raises(InputError, match="WSIS_CHECKPOINT_SECONDS is 'often'"):
        run(job(tmp_path))


class Loader:
    """Stands for a loader whose processes fail in one way."""

    def __init__(self, error: Exception, num_workers: int = 1) -> None:
        self.error, self.num_workers = error, num_workers

    def __iter__(self):
        yield 1
        raise self.error


def test_shared_memory_that_is_missing_is_a_sentence_and_other_errors_stay():
    told = [OSError(30, "Read-only file system"), RuntimeError("unable to open shared memory object </torch_1_2>")]
    for error in told:
        with pytest.raises(InputError, match="processes that load images cannot run .*; see that /dev/shm"):
            list(watch_workers(Loader(error)))
    others = [
        (RuntimeError("Caught RuntimeError in DataLoader worker process 0."), 1),
        (FileNotFoundError(2, "No such file", "images.h5"), 1),
        (OSError(28, "No space left on device"), 0),
    ]
    for error, workers in others:
        with pytest.raises(type(error)) as caught:
            list(watch_workers(Loader(error, workers)))
        assert caught.value is error


def test_a_process_that_was_killed_while_it_loaded_is_a_sentence(caplog):
    def die():
        raise RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")

    assert guarded(die) == 2
    assert "A process that loads images died." in caplog.text and "Traceback" not in caplog.text
