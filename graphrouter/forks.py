"""A forked process computes on one CPU thread, where several would wait for threads it has not.

A fork copies the memory of a process, but of its threads only the one that forks. torch's pool
(OpenMP) is then in the books of the child without being there, and the first operation large
enough to be shared waits for it for ever: in `load_router`, `add_model` or `fit`, under
`gunicorn --preload`, Celery's prefork pool, or `multiprocessing` with the start method fork. On one
thread no pool is asked for. NumPy and SciPy (OpenBLAS) start theirs anew by themselves.

The package registers this when it is imported. A process that imports it only after a fork, whose
parent has run torch by itself, is safe too for routers, which compute on one thread; text encoders
that run on torch need `torch.set_num_threads(1)` there.
"""

from __future__ import annotations

import os
import sys

threads_are_lost = False
"""Whether this process was forked from one that had torch loaded: then it has one thread for torch.

`cpu_threads` of `graphrouter/nn/layers.py` reads it, also where settings ask for several threads.
"""


def keep_forks_alive() -> None:
    """Register what every process that is forked from this one does first; called once.

    Example:
        >>> import graphrouter  # calls it
        >>> threads_are_lost
        False
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
        os.register_at_fork(after_in_child=_stay_on_one_thread)


def _stay_on_one_thread() -> None:
    """Make torch, where it is loaded, compute on the thread that is left."""
    global threads_are_lost
    set_num_threads = getattr(sys.modules.get("torch"), "set_num_threads", None)
    if set_num_threads is not None:  # otherwise there is no pool: one may start in this process
        set_num_threads(1)
        threads_are_lost = True
