"""Work in processes: everything comes back, and a process that dies costs only what killed it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from graphrouter.exceptions import ConfigError, MissingExtraError, WorkerError
from graphrouter.processes import THREAD_VARIABLES, map_in_order, spread

ROOT = Path(__file__).resolve().parents[2]


def square_or_die(number: int) -> int:
    if number < 0:
        os._exit(9)
    time.sleep(0.01)
    return number**2


def tell_pid_and_wait(_: int) -> None:
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    time.sleep(300)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def threads(_: int) -> str | None:
    return os.environ.get(THREAD_VARIABLES[0])


def refuse(number: int) -> int:
    raise ValueError(f"{number} is not wanted")


@pytest.mark.parametrize("num_processes", [1, 2])
def test_every_item_comes_back_once(num_processes: int) -> None:
    results = dict(spread(list(range(7)), square_or_die, num_processes=num_processes))
    assert results == {number: number**2 for number in range(7)}
    assert dict(spread([], square_or_die, num_processes=num_processes)) == {}


def test_what_kills_its_process_is_named_and_the_rest_goes_on() -> None:
    results = dict(spread([1, 2, -1, 3, -2, 4], square_or_die, num_processes=2))
    assert {item: result for item, result in results.items() if item > 0} == {
        1: 1,
        2: 4,
        3: 9,
        4: 16,
    }
    assert isinstance(results[-1], BrokenProcessPool)
    assert isinstance(results[-2], BrokenProcessPool)


def test_a_death_while_the_caller_is_busy_is_named_too() -> None:
    results = {}
    for item, result in spread([1, -1, 2, 3, 4], square_or_die, num_processes=2):
        results[item] = result
        time.sleep(1.0)  # meanwhile the other process dies
    assert isinstance(results.pop(-1), BrokenProcessPool)
    assert results == {1: 1, 2: 4, 3: 9, 4: 16}


@pytest.mark.parametrize(
    ("way", "sent"),
    [("spread", signal.SIGKILL), ("map_in_order", signal.SIGKILL), ("map_in_order", signal.SIGINT)],
)
def test_workers_end_with_their_parent(way: str, sent: signal.Signals) -> None:
    """Killed without a chance to clean up, or interrupted, no process stays behind that holds
    memory."""
    script = (
        "import signal\n"
        # ignored in what a shell runs in the background
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from graphrouter.processes import {way}\n"
        "from tests.unit.test_processes import tell_pid_and_wait\n"
        "if __name__ == '__main__':\n"
        f"    list({way}([1, 2], tell_pid_and_wait, num_processes=2))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.send_signal(sent)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(is_alive(pid) for pid in workers)


def make_long(size: int) -> bytes:
    return bytes(size)


def test_an_error_ends_processes_in_the_middle_of_a_result() -> None:
    """Who reads results waited for the rest of one whose process had been ended."""
    ended: list[str] = []

    def list_sizes() -> Iterator[int]:
        yield from [40_000_000] * 6
        raise KeyError("the seventh")

    def work() -> None:
        try:
            list(map_in_order(list_sizes(), make_long, num_processes=2))
        except KeyError as error:
            ended.append(str(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert ended == ["'the seventh'"]


def test_an_exception_of_the_work_ends_it() -> None:
    with pytest.raises(ValueError, match="3 is not wanted"):
        list(spread([3], refuse, num_processes=1))
    with pytest.raises(ValueError, match="3 is not wanted"):
        list(spread([3, 3], refuse, num_processes=2))


def test_processes_have_one_thread_and_the_environment_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(THREAD_VARIABLES[0], "5")
    monkeypatch.delenv(THREAD_VARIABLES[1], raising=False)
    assert dict(spread([0, 1], threads, num_processes=2)) == {0: "1", 1: "1"}
    assert os.environ[THREAD_VARIABLES[0]] == "5"
    assert THREAD_VARIABLES[1] not in os.environ


def sleep_longer_first(number: int) -> int:
    time.sleep(0.1 / (number + 1))
    return number


def lack_an_extra(number: int) -> int:
    raise MissingExtraError("faiss", extra="index", purpose="A search")


class TestMapInOrder:
    def test_results_come_in_order_and_few_items_are_taken_ahead(self) -> None:
        taken = []

        def read() -> Iterator[int]:
            for number in range(9):
                taken.append(number)
                yield number

        found = map_in_order(read(), sleep_longer_first, num_processes=2)
        assert next(found) == 0
        assert len(taken) <= 4
        assert list(found) == list(range(1, 9))

    def test_an_error_of_the_work_is_raised_as_it_is(self) -> None:
        with pytest.raises(ValueError, match="3 is not wanted"):
            list(map_in_order([3, 4, 5, 6, 7], refuse, num_processes=2))

    def test_an_error_that_cannot_travel_is_told_in_words(self) -> None:
        with pytest.raises(WorkerError, match=r"MissingExtraError: .*graphrouter\[index\]"):
            list(map_in_order([1], lack_an_extra, num_processes=2))

    def test_a_process_that_dies_ends_the_work(self) -> None:
        with pytest.raises(WorkerError, match="One of 2 processes ended before"):
            list(map_in_order([1, -1, 2, 3, 4, 5], square_or_die, num_processes=2))

    def test_work_that_cannot_be_sent_is_told_before_any_process_starts(self) -> None:
        with pytest.raises(WorkerError, match="cannot be sent to another process"):
            list(map_in_order([1], lambda number: number, num_processes=2))

    @pytest.mark.parametrize("number", [0, 1.5, True])
    def test_a_number_of_processes_is_whole_and_at_least_1(self, number: int) -> None:
        with pytest.raises(ConfigError, match="expected a whole number of at least 1"):
            list(map_in_order([1], refuse, num_processes=number))
