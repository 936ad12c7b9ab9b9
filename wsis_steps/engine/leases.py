"""Leases of GPUs, so that local jobs can share several.

Snakemake counts `gpu` resources but assigns no ids. A step leases an id by locking a file; the kernel releases the
lock when the process dies, for whatever reason.
"""

import fcntl
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import IO

log = logging.getLogger("wsis")
_held: list[IO] = []  # a lease lasts as long as its file is open


def lease(slots: int, folder: Path | None = None, wait: float = 1.0) -> int:
    """Leases one of `slots` device ids, waiting until one is free; the lease ends with the process."""
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
