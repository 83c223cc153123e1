"""Threads that ask at the same time are answered together, each as if it had asked alone."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from graphrouter.router import joint_calls
from graphrouter.router.joint_calls import JointCalls


def count_waiting(joint: JointCalls[int, int]) -> int:
    """Calls that nobody has begun to answer."""
    return sum(not call.is_taken for call in joint._find_line().calls)


class Squares:
    """Squares numbers, the first one as late as it is told; refuses negative ones."""

    def __init__(self) -> None:
        self.joint = JointCalls[int, int]()
        self.batches: list[list[int]] = []
        self.has_begun, self.may_end = threading.Event(), threading.Event()

    def square(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.has_begun.set()
        assert self.may_end.wait(30)
        if min(numbers) < 0:
            raise ValueError(f"{min(numbers)} is negative")
        return [number * number for number in numbers]

    def ask(self, number: int) -> int:
        return self.joint.ask(number, self.square)


def ask_together(squares: Squares, first: int, others: Sequence[int]) -> list[int | str]:
    """What threads get, those of `others` asking while the first is being answered."""

    def ask(number: int) -> int | str:
        try:
            return squares.ask(number)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(1 + len(others)) as pool:
        asked = [pool.submit(ask, first)]
        assert squares.has_begun.wait(30)
        asked += [pool.submit(ask, number) for number in others]
        while count_waiting(squares.joint) < len(others):
            pass
        squares.may_end.set()
        return [each.result(30) for each in asked]


def test_who_asks_while_another_is_answered_is_answered_with_the_others() -> None:
    squares = Squares()
    assert ask_together(squares, 2, range(3, 9)) == [4, 9, 16, 25, 36, 49, 64]
    assert squares.batches[0] == [2]
    assert [sorted(batch) for batch in squares.batches[1:]] == [[3, 4, 5, 6, 7, 8]]
    assert squares.ask(9) == 81  # alone again
    assert squares.batches[-1] == [9]


def test_who_comes_again_lets_those_wake_up_that_were_answered_with_it() -> None:
    joint = JointCalls[int, int]()
    line = joint._find_line()
    late = joint_calls._Call[int, int](1)
    assert line.take_turn(late) == [late]
    others = [joint_calls._Call[int, int](number) for number in (2, 3)]
    line.calls += others
    for call in (late, *others):
        call.answers.append(0)
    line.leave(late, [late, *others])
    assert line._waking == set(others)
    line.leave(others[0], [])
    first = joint_calls._Call[int, int](4)
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(line.take_turn, first)
        while first not in line.calls:
            pass
        line.leave(others[1], [])
        assert turn.result(30) == [first]
    assert not line._waking


def test_who_never_wakes_up_is_not_waited_for_for_long() -> None:
    joint = JointCalls[int, int]()
    line = joint._find_line()
    first, gone = (joint_calls._Call[int, int](number) for number in (1, 2))
    assert line.take_turn(first) == [first]
    gone.answers.append(0)
    line.leave(gone, [])  # it was answered while it left
    line.leave(first, [first, gone])
    assert not line._waking
    line._waking.add(gone)  # as if its thread was killed
    assert joint.ask(3, lambda numbers: list(numbers)) == 3
    assert not line._waking


def test_what_one_cannot_be_answered_for_is_no_matter_of_the_others() -> None:
    squares = Squares()
    assert ask_together(squares, 2, [3, -1, 4]) == [4, 9, "-1 is negative", 16]
    with pytest.raises(ValueError, match="-5 is negative"):
        squares.ask(-5)
    assert squares.ask(5) == 25


def test_who_is_stopped_passes_the_turn_on() -> None:
    joint, began, may_end = JointCalls[int, int](), threading.Event(), threading.Event()
    seen: list[list[int]] = []

    def answer(numbers: Sequence[int]) -> list[int]:
        seen.append(list(numbers))
        if len(seen) == 1:
            began.set()
            assert may_end.wait(30)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return list(numbers)

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(joint.ask, 0, answer)]
        assert began.wait(30)
        asked += [pool.submit(joint.ask, number, answer) for number in (1, 2, 3)]
        while count_waiting(joint) < 3:
            pass
        may_end.set()
        errors = [each.exception(30) for each in asked]
    assert [type(error) for error in errors if error is not None] == [KeyboardInterrupt]
    assert joint.ask(7, answer) == 7


def test_who_asks_while_it_answers_does_not_wait_for_itself() -> None:
    joint = JointCalls[int, int]()

    def answer(numbers: Sequence[int]) -> list[int]:
        return [number if number > 2 else joint.ask(number + 1, answer) for number in numbers]

    assert joint.ask(0, answer) == 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers of signals here")
def test_who_is_stopped_while_it_waits_is_waited_for_by_nobody() -> None:
    squares = Squares()
    line = squares.joint._find_line()

    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(squares.ask, 2)
        assert squares.has_begun.wait(30)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutError):
            squares.ask(3)
        squares.may_end.set()
        assert first.result(30) == 4
        assert pool.submit(squares.ask, 5).result(30) == 25
    assert squares.batches == [[2], [5]]
    assert line.calls == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers of signals here")
def test_what_a_signal_raises_is_no_error_of_others_and_is_not_lost() -> None:
    squares = Squares()

    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError

    def answer(numbers: Sequence[int]) -> list[int]:
        if threading.current_thread() is not threading.main_thread():
            return squares.square(numbers)
        assert list(numbers) == [3]
        asked.append(pool.submit(squares.ask, 4))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return squares.square(numbers)

    signal.signal(signal.SIGALRM, stop)
    asked: list[Future[int]] = []
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(TimeoutError):
            squares.joint.ask(3, answer)
        squares.may_end.set()
        assert asked[0].result(30) == 16


def test_nobody_waits_long_for_a_thread_that_never_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joint_calls, "_PATIENCE_S", 0.05)
    squares = Squares()
    squares.may_end.set()
    gone = joint_calls._Call[int, int](0)
    gone.thread = -1
    squares.joint._find_line().leader = gone
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(squares.ask, range(4))) == [0, 1, 4, 9]
    assert squares.joint._find_line().leader is None


def test_an_answer_may_ask_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_calls, "_PATIENCE_S", 0.05)
    joint = JointCalls[int, int]()

    def answer(numbers: Sequence[int]) -> list[int]:
        if numbers[0] > 2:
            return list(numbers)
        with ThreadPoolExecutor(1) as pool:
            return [pool.submit(joint.ask, numbers[0] + 1, answer).result(30)]

    assert joint.ask(0, answer) == 3


def test_a_copy_has_nobody_who_asks() -> None:
    squares = Squares()
    squares.joint._find_line().calls.append(joint_calls._Call(1))
    copy = pickle.loads(pickle.dumps(squares.joint))
    assert copy._find_line().calls == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_fork_does_not_wait_for_threads_that_it_has_not() -> None:
    squares = Squares()
    gone = joint_calls._Call[int, int](0)
    gone.thread = -1
    squares.joint._find_line().leader = gone  # as if a thread answered while the process forks
    squares.may_end.set()

    def ask() -> None:
        sys.exit(squares.ask(3))

    process = multiprocessing.get_context("fork").Process(target=ask)
    process.start()
    process.join(30)
    assert process.exitcode == 9
