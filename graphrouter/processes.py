"""Work of several processes: apart from one another, or one stream of it in order.

`spread` goes on where an item kills its process, and names it; `map_in_order` keeps the order of a
stream that may be longer than memory, and ends with the first error.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol, TypeVar

from graphrouter.exceptions import ConfigError, WorkerError
from graphrouter.number_checks import is_whole
from graphrouter.wording import show_value

Item = TypeVar("Item")
Result = TypeVar("Result")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ITEMS_AHEAD = 2
"""Items a process that are handed over before their results are asked for."""


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


def map_in_order(
    items: Iterable[Item], work: Callable[[Item], Result], *, num_processes: int
) -> Iterator[Result]:
    """The result of each item, in their order, worked on by several processes.

    Of the items a few are taken ahead, so neither they nor their results need fit into memory.

    Args:
        items: What to work on; read in this process, where its errors are raised.
        work: What is sent to each process once, with all that it holds.
        num_processes: 1 works in this process.

    Raises:
        ConfigError: The number of processes is no whole number of at least 1.
        WorkerError: The work cannot be sent to another process, or one has died.
        Exception: What the work raises, as it raises it here.

    Example:
        >>> list(map_in_order([4, 5], str, num_processes=1))
        ['4', '5']
    """
    check_num_processes(num_processes)
    if num_processes == 1:
        yield from map(work, items)
        return
    running = deque[Future[Result]]()
    with _workers(num_processes, _keep, _pack(work)) as pool:
        try:
            for item in items:
                running.append(pool.submit(_work_on, item))
                if len(running) == _ITEMS_AHEAD * num_processes:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool:
            raise WorkerError(
                f"One of {num_processes} processes ended before its work was done, "
                "perhaps for want of memory. Ask for fewer, or for one."
            ) from None


def check_num_processes(number: object) -> None:
    """Check a number of processes.

    Raises:
        ConfigError: It is no whole number of at least 1.

    Example:
        >>> check_num_processes(2)
    """
    if not is_whole(number, least=1):
        raise ConfigError(
            f"num_processes is {show_value(number)}; expected a whole number of at least 1."
        )


def _pack(work: Callable[..., Any]) -> bytes:
    """What a process unpacks, whose errors it can tell then as those of the work."""
    try:
        return bytes(ForkingPickler.dumps(work))
    except Exception as error:  # whatever the code of others raises
        raise WorkerError(
            f"The work cannot be sent to another process: {type(error).__name__}: {error}. Use "
            "one process, or objects that pickle takes, such as functions at the top of a module."
        ) from error


def _keep(packed: bytes) -> None:
    """Keep in a worker what it is to do."""
    global _packed
    _packed = packed


_packed = b""


@cache
def _unpack() -> Callable[[Any], Any]:
    global _packed
    work: Callable[[Any], Any] = ForkingPickler.loads(_packed)
    _packed = b""
    return work


def _work_on(item: Any) -> Any:
    """The result of an item, in a worker; errors are such as its parent can unpickle."""
    try:
        return _unpack()(item)
    except Exception as error:
        try:
            ForkingPickler.loads(ForkingPickler.dumps(error))
        except Exception:
            raise WorkerError(f"{type(error).__name__}: {error}") from error
        raise


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
def _workers(
    num_processes: int, prepare: Callable[..., None] | None = None, *arguments: object
) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes of one thread each; on the way out, those that still run are stopped.

    Args:
        num_processes: Most of them.
        prepare: What each calls first.
        arguments: Of that.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(
        dict.fromkeys(THREAD_VARIABLES, "1")
    )  # read when a process starts: several threads a process fight
    context = multiprocessing.get_context("spawn")  # forking a process that has run torch may hang
    pool = ProcessPoolExecutor(
        num_processes, context, initializer=_begin, initargs=(prepare, arguments)
    )
    try:
        yield pool
    except BaseException:
        _stop(pool)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, whatever they are at.

    One may end in the middle of a result. The thread that reads it would wait for the rest for
    ever as long as anybody could write it, so this process lets go of its own end.
    """
    for process in list((pool._processes or {}).values()):
        process.terminate()
    results: Any = pool._result_queue
    results._writer.close()


def _begin(prepare: Callable[..., None] | None, arguments: tuple[object, ...]) -> None:
    _follow_parent()
    if prepare is not None:
        prepare(*arguments)


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
