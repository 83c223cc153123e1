"""Work spread over processes that may die: what killed a process is named, and the rest goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Spread(Protocol):
    """Works on items apart from one another: `spread`, or another with the same call."""

    def __call__(
        self, items: Sequence[Item], work: Callable[[Item], Result], *, num_processes: int
    ) -> Iterator[tuple[Item, Result | BrokenProcessPool]]:
        """Each item with its result; arguments of `spread`."""


def spread(
    items: Sequence[Item], work: Callable[[Item], Result], *, num_processes: int
) -> Iterator[tuple[Item, Result | BrokenProcessPool]]:
    """Each item with its result, in the order in which they are done.

    The error where the item kills its process.

    Args:
        items: What to work on, in the order in which they are begun.
        work: A function at the top of a module; its exceptions end the whole work.
        num_processes: 1 works in this process.
    """
    if num_processes == 1:
        for item in items:
            yield item, work(item)
        return
    waiting = list(items)
    while waiting:
        suspects: list[Item] = []
        yield from _run_pool(waiting, work, num_processes, suspects)
        # One of those that were running killed its process, for want of memory or by a crash.
        # Alone, each shows if it was.
        for item in suspects:
            waiting.remove(item)
            yield from _run_alone(item, work)


def _run_pool(
    waiting: list[Item], work: Callable[[Item], Result], num_processes: int, suspects: list[Item]
) -> Iterator[tuple[Item, Result]]:
    """Results until all is done or a process dies.

    Done items leave `waiting`, those that were running join `suspects`.
    """
    with _workers(num_processes) as pool:
        # No more are handed over than can run at once: whoever is handed over when a process dies
        # is under suspicion.
        running: dict[Future[Result], Item] = {}
        queue = iter(list(waiting))
        while True:
            while len(running) < num_processes and (item := next(queue, None)) is not None:
                try:
                    running[pool.submit(work, item)] = item
                except (
                    BrokenProcessPool
                ):  # one has died since the last look; this item was not begun
                    suspects += running.values()
                    return
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    suspects += [
                        item
                        for other, item in running.items()
                        if other not in done or other.exception() is not None
                    ]
                    return
            for future in done:
                item = running.pop(future)
                result = future.result()
                waiting.remove(item)
                yield item, result


def _run_alone(
    item: Item, work: Callable[[Item], Result]
) -> Iterator[tuple[Item, Result | BrokenProcessPool]]:
    with _workers(1) as pool:
        try:
            result: Result | BrokenProcessPool = pool.submit(work, item).result()
        except BrokenProcessPool as error:
            result = error
    yield item, result


@contextmanager
def _workers(num_processes: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes of one thread each; on the way out, those that still run are stopped."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(
        dict.fromkeys(THREAD_VARIABLES, "1")
    )  # read when a process starts: several threads a process fight
    context = multiprocessing.get_context("spawn")  # forking a process that has run torch may hang
    pool = ProcessPoolExecutor(num_processes, mp_context=context, initializer=_follow_parent)
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _follow_parent() -> None:
    """Make a worker leave interrupts to its parent, and end when the parent does.

    It would wait for work for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
