"""Which device a step computes on, and how precisely.

Where CUDA_VISIBLE_DEVICES is set (SLURM, a user), nothing is leased; of several ranks of a job each takes its own of
the visible devices.
"""

import logging
import os

import torch

from wsis_steps.engine.leases import lease
from wsis_steps.vision import ranks

log = logging.getLogger("wsis")


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


def stay_on_cpu(threads: int, precision: str = "float32") -> None:
    """The CPU with `threads` threads, for what a GPU would not speed up; says so in the log."""
    torch.set_num_threads(threads)
    log.info("device cpu, %d threads, precision %s", threads, precision)


def precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the GPU has it, else float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def precise(values: torch.Tensor) -> torch.Tensor:
    """float64 as it is, anything else as float32: sums over many values of half precision would lose too much."""
    return values if values.dtype == torch.float64 else values.float()


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision on a GPU that has bfloat16; does nothing elsewhere."""
    dtype = precision(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
