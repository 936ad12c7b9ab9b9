"""The map over worker processes: order, closures, errors, and no reading far ahead."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import psutil
import pytest
from patience import PATIENCE

from wsis_steps.engine.errors import InputError
from wsis_steps.engine.pool import fork_map


@pytest.mark.parametrize("processes", [1, 2])
def test_results_keep_the_order_of_the_items(processes):
    table = {n: n * n for n in range(50)}  # a closure, which no pickle takes
    assert list(fork_map(lambda n: table[n], range(50), processes, chunk=3)) == list(table.values())
    assert list(fork_map(lambda n: n, [], processes)) == []


def test_work_is_done_in_other_processes():
    found = set(fork_map(lambda _: os.getpid(), range(8), 2, chunk=1))
    assert os.getpid() not in found


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_the_function_is_raised_here(processes):
    def fail(n):
        if n == 5:
            raise InputError("image 5 is damaged")
        return n

    with pytest.raises(InputError, match="image 5"):
        list(fork_map(fail, range(20), processes, chunk=1))
    assert list(fork_map(lambda n: -n, range(4), processes)) == [0, -1, -2, -3]  # the next call is not disturbed


def test_a_worker_that_dies_is_an_error_and_not_a_wait():
    with pytest.raises(BrokenProcessPool):
        list(fork_map(lambda n: os._exit(1) if n == 3 else n, range(10), 2, chunk=1))


def test_items_are_read_only_some_chunks_ahead():
    read = []
    results = fork_map(lambda n: n, (read.append(n) or n for n in range(1000)), 2, chunk=2)
    assert next(results) == 0
    assert len(read) <= 2 * (4 * 2 + 2)
    results.close()


def wait_and_repeat(n: int) -> int:
    time.sleep(0.01)
    return n


@pytest.mark.parametrize(
    "results",
    [
        "pool.fork_map(wait_and_repeat, range(1000), 2, chunk=1)",
        "pool.forked_pool(2).map(wait_and_repeat, range(1000))",
    ],
)
def test_workers_end_when_their_parent_is_killed(results):
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from test_pool import wait_and_repeat\n"
        "from wsis_steps.engine import pool\n"
        f"for result in {results}:\n"
        "    print(result, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        parent.stdout.readline()
        workers = psutil.Process(parent.pid).children()
        assert len(workers) == 2
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
