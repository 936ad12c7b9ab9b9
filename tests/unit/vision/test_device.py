"""Devices: leases that die with their process, and what a step is told."""

import logging
import multiprocessing
import os
import signal

import pytest
import torch
from patience import PATIENCE

from wsis_steps.engine import leases
from wsis_steps.engine.leases import lease
from wsis_steps.vision import device as module
from wsis_steps.vision.device import autocast, choose_device, precision

context = multiprocessing.get_context("fork")
WAITS = "waits"


@pytest.fixture(autouse=True)
def _give_back(monkeypatch):
    held = []
    monkeypatch.setattr(leases, "_held", held)
    yield
    for file in held:
        file.close()


class _Waits(logging.Handler):
    """Puts WAITS into a queue when a process says that it waits."""

    def __init__(self, queue):
        super().__init__()
        self.queue = queue

    def emit(self, record):
        if record.getMessage().startswith("waiting for one of"):
            self.queue.put(WAITS)


def _tell(queue):
    log = logging.getLogger("wsis")
    log.setLevel(logging.INFO)
    log.addHandler(_Waits(queue))


def _hold(slots, folder, queue):
    _tell(queue)
    queue.put(lease(slots, folder, wait=0.02))
    signal.pause()


@pytest.fixture
def holder(tmp_path):
    """Starts a process that leases one of `slots`, and gives it with its slot, or WAITS."""
    started = []

    def start(slots):
        queue = context.Queue()
        process = context.Process(target=_hold, args=(slots, tmp_path, queue), daemon=True)
        process.start()
        started.append(process)
        return process, queue.get(timeout=PATIENCE), queue

    yield start
    for process in started:
        process.kill()
        process.join()


def test_processes_lease_different_slots_and_the_next_one_waits(holder):
    _, first, _ = holder(2)
    _, second, _ = holder(2)
    assert {first, second} == {0, 1}
    _, third, _ = holder(2)
    assert third == WAITS


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_frees_its_slot(holder, how):
    first, slot, _ = holder(1)
    assert slot == 0
    _, waiting, queue = holder(1)
    assert waiting == WAITS
    os.kill(first.pid, how)
    assert queue.get(timeout=PATIENCE) == 0


def _hold_until_told(folder, queue, told):
    _tell(queue)
    queue.put((os.getpid(), lease(4, folder, wait=0.01)))
    told.wait()


def test_eight_processes_on_four_slots_never_share_one_however_their_holders_end(tmp_path):
    queue, ways = context.Queue(), [signal.SIGKILL, signal.SIGTERM, None, signal.SIGKILL]
    started = {}
    for _ in range(8):
        told = context.Event()
        process = context.Process(target=_hold_until_told, args=(tmp_path, queue, told), daemon=True)
        process.start()
        started[process.pid] = process, told
    said = [queue.get(timeout=PATIENCE) for _ in range(8)]
    assert said.count(WAITS) == 4
    held = {slot: pid for pid, slot in (one for one in said if one != WAITS)}
    assert sorted(held) == [0, 1, 2, 3]
    for how, freed in zip(ways, (2, 0, 3, 2), strict=True):
        process, told = started[held.pop(freed)]
        assert queue.empty()  # the others wait
        if how is None:
            told.set()
        else:
            os.kill(process.pid, how)
        pid, slot = queue.get(timeout=PATIENCE)
        assert slot == freed and pid not in held.values()
        held[slot] = pid
    for process, _ in started.values():
        process.kill()
        process.join()


def test_a_lease_lasts_as_long_as_the_process(tmp_path):
    assert [lease(3, tmp_path) for _ in range(3)] == [0, 1, 2]


def _fake_cuda(monkeypatch, count, bfloat16=True):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "fake")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)


def test_a_gpu_is_leased_where_nobody_assigned_one(monkeypatch, tmp_path):
    _fake_cuda(monkeypatch, 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(leases.tempfile, "gettempdir", lambda: str(tmp_path))
    assert [choose_device(), choose_device()] == [torch.device("cuda", 0), torch.device("cuda", 1)]


def test_nothing_is_leased_where_a_gpu_was_assigned(monkeypatch):
    _fake_cuda(monkeypatch, 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr(module, "lease", lambda slots: pytest.fail("leased"))
    assert choose_device() == torch.device("cuda", 0)  # the first that is visible


def test_without_a_gpu_it_is_the_cpu_with_the_threads_given(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_num_threads()
    assert choose_device(threads=3) == torch.device("cpu") and torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_each_rank_takes_its_own_of_the_assigned_gpus(monkeypatch):
    _fake_cuda(monkeypatch, 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device() == torch.device("cuda", 1)


def test_precision_is_bfloat16_only_on_a_gpu_that_has_it(monkeypatch):
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    _fake_cuda(monkeypatch, 1)
    assert precision(cuda) == torch.bfloat16 and precision(cpu) == torch.float32
    _fake_cuda(monkeypatch, 1, bfloat16=False)
    assert precision(cuda) == torch.float32
    with autocast(cpu):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
