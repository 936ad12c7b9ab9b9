"""Calls a step without mixed precision: python -m bench.float32 wsis_steps.bestie.train --images FILE ..."""

import runpy
import sys

import torch

from wsis_steps.vision import device

if __name__ == "__main__":
    device.precision = lambda _: torch.float32
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
