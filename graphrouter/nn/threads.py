"""How many CPU threads the network uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Runs torch on `count` CPU threads, then on as many as before.

    The tensors of one query or one episode are small. One thread loses little on an idle machine;
    several wait for each other at every operation, which on a busy machine costs a factor of five
    in training and of fifty for a single query. It also keeps sums in one order, whatever the
    number of cores.
    """
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
