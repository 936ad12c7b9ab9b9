"""The device and precision that a step computes with.

If CUDA_VISIBLE_DEVICES is set (by SLURM or a user), no GPU is leased: each rank of a job takes its own of the visible
devices.
"""

import logging
import os

import torch

from wsis_steps.engine.leases import lease
from wsis_steps.vision import ranks

log = logging.getLogger("wsis")


def choose_device(threads: int = 1, fixed_sizes: bool = False) -> torch.device:
    """CUDA if available, else the CPU with `threads` threads; logs which."""
    torch.set_num_threads(threads)
    if not torch.cuda.is_available():
        log.info("device cpu, %d threads, precision float32", threads)
        ranks.join(torch.device("cpu"))
        return torch.device("cpu")
    leased = "CUDA_VISIBLE_DEVICES" not in os.environ
    number = lease(torch.cuda.device_count()) if leased else int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", number)
    torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = fixed_sizes  # it times kernels again for every new size
    log.info("device %s (%s), precision %s", device, torch.cuda.get_device_name(device), precision(device))
    ranks.join(device)
    return device


def stay_on_cpu(threads: int, precision: str = "float32") -> None:
    """Uses the CPU with `threads` threads, for work that a GPU would not speed up; logs that."""
    torch.set_num_threads(threads)
    log.info("device cpu, %d threads, precision %s", threads, precision)


def precision(device: torch.device) -> torch.dtype:
    """bfloat16 if the GPU supports it, else float32."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def precise(values: torch.Tensor) -> torch.Tensor:
    """Converts to float32, except float64: sums over many half-precision values would be too inexact."""
    return values if values.dtype == torch.float64 else values.float()


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision on a GPU that supports bfloat16; does nothing elsewhere."""
    dtype = precision(device)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
