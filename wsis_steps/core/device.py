"""Which device a step computes on, and leases so that local jobs share several GPUs.

Snakemake counts `gpu` resources but hands out no ids. A step leases an id by locking a file that the kernel
unlocks when the process dies, however it dies. Where CUDA_VISIBLE_DEVICES is set (SLURM, a user), nothing is
leased; of several ranks of a job each takes its own of the visible devices.
"""

import fcntl
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import IO

import torch

from wsis_steps.core import ranks

log = logging.getLogger("wsis")
_held: list[IO] = []  # a lease lasts as long as its open file


def lease(slots: int, folder: Path | None = None, wait: float = 1.0) -> int:
    """Takes one of `slots` device ids, waiting until one is free; it is given back when the process ends."""
    folder = folder or Path(tempfile.gettempdir()) / f"wsis-gpu-leases-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    told = False
    while True:
        for slot in range(slots):
            file = (folder / str(slot)).open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            return slot
        if not told:
            log.info("waiting for one of %d GPUs", slots)
            told = True
        time.sleep(wait)


def choose_device(threads: int = 1, fixed_sizes: bool = False) -> torch.device:
    """CUDA where there is one, else the CPU with `threads` threads; says which in the log."""
    torch.set_num_threads(threads)
    if not torch.cuda.is_available():
        log.info("device cpu, %d threads, precision float32", threads)
        ranks.join(torch.device("cpu"))
        return torch.device("cpu")
    leased = "CUDA_VISIBLE_DEVICES" not in os.environ
    number = lease(torch.cuda.device_count()) if leased else int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", number)
    torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = fixed_sizes  # measures kernels anew for every size it meets
    log.info("device %s (%s), precision %s", device, torch.cuda.get_device_name(device), precision(device))
    ranks.join(device)
    return device


def precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the GPU has it, else float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision on a GPU that has bfloat16; does nothing elsewhere."""
    dtype = precision(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
