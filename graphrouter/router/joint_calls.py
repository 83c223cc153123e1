"""Calls that several threads make at the same time, answered together where that is cheaper.

Of a small batch each query costs a fraction of what it costs alone: most of a call are small
operations, which take as long for eight rows as for one, and hold the lock of the interpreter.
Whoever comes while another thread computes is put on a list, and one of those on it computes for
all of them next (flat combining: Hendler, Incze, Shavit and Tzafrir 2010). Threads whose calls were
answered together ask again together: whoever comes first of them lets the others wake up, or it
would compute for itself while they wait. Nobody waits for more calls to come otherwise, so a thread
alone is as fast as without, and nobody waits for another thread for long: whatever stopped or
delays that one, its own answer a thread can always find itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Self, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_MOST_TOGETHER = 64
_PATIENCE_S = 1.0
"""Seconds that a thread waits for another one before it answers its own call alone."""
_COURTESY_S = 0.002
"""Seconds that a thread waits at most for others to wake up whose calls were answered together:
they are likely to ask again, and would find it computing for itself alone."""


class _Call(Generic[Asked, Answer]):
    """One call, and what has become of it."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.thread = threading.get_ident()
        self.answers: list[Answer] = []
        """One, once it is answered, or as many as have answered it, which are the same."""
        self.error: Exception | None = None
        self.is_taken = False
        """Whether a thread answers it."""
        self.has_left = False
        """Whether its thread waits for nothing any more."""
        self.gate = threading.Lock()
        """Open when something has changed since its thread looked."""
        self.gate.acquire()

    @property
    def is_done(self) -> bool:
        return bool(self.answers) or self.error is not None


class _Line(Generic[Asked, Answer]):
    """The calls of one process that nobody has answered yet, and the one whose thread computes.

    An exception of a signal may stop a thread between any two steps, but none that holds a lock by
    `with`; that of a condition, which is taken again by a function, it might leave locked.
    """

    def __init__(self) -> None:
        self.calls: list[_Call[Asked, Answer]] = []
        self.leader: _Call[Asked, Answer] | None = None
        self._waking = set[_Call[Asked, Answer]]()
        """Calls that other threads have answered, and whose own have not looked yet."""
        self._guard = threading.Lock()

    def take_turn(self, call: _Call[Asked, Answer]) -> list[_Call[Asked, Answer]]:
        """Wait until a call is answered, or its thread is to answer some.

        Returns:
            Those calls, it first; none where it is answered.
        """
        with self._guard:
            self.calls.append(call)
        while True:
            with self._guard:
                if call.is_done:
                    return []
                leader = self.leader
                if leader is None and not self._waking:
                    self.leader = call
                    return self._take(call)
            if leader is None:
                if not call.gate.acquire(timeout=_COURTESY_S):
                    self._waking.clear()  # nobody waits for them again
            elif not call.gate.acquire(timeout=_PATIENCE_S):
                break
        with self._guard:
            if self.leader is leader:  # delayed, or gone: whoever comes now waits for another one
                self.leader = None
            call.is_taken = True
        return [call]

    def _take(self, call: _Call[Asked, Answer]) -> list[_Call[Asked, Answer]]:
        others = [each for each in self.calls if not (each is call or each.is_taken)]
        # What a signal raises in the main thread is meant for it alone, and no error of the others.
        most = 0 if call.thread == threading.main_thread().ident else _MOST_TOGETHER - 1
        together = [call, *others[:most]]
        for each in together:
            each.is_taken = True
        return together

    def leave(self, call: _Call[Asked, Answer], together: Sequence[_Call[Asked, Answer]]) -> None:
        """A call waits no more, and what its thread has not answered is for others to answer."""
        with self._guard:
            if self.leader is call:
                self.leader = None
            for each in together:
                each.is_taken = each.is_done
                if each.is_done and not each.has_left:
                    self._waking.add(each)
            self._waking.discard(call)
            call.has_left = True
            for each in self.calls:
                if each.gate.locked():
                    each.gate.release()
            self.calls = [each for each in self.calls if not (each is call or each.is_done)]


class JointCalls(Generic[Asked, Answer]):
    """Lets threads that ask at the same time be answered together.

    For answers that do not depend on what is asked beside them.

    Example:
        >>> joint = JointCalls[int, int]()
        >>> joint.ask(3, lambda numbers: [number + 1 for number in numbers])
        4
    """

    def __init__(self) -> None:
        """Nobody asks yet."""
        self._lines: dict[int, _Line[Asked, Answer]] = {}
        """By process: a fork has none of the threads that asked."""

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        """A copy, or what another process gets, has nobody who asks."""
        return type(self), ()

    @property
    def is_busy(self) -> bool:
        """Whether a thread computes, so that whoever asks now waits for it."""
        return self._find_line().leader is not None

    def ask(
        self, asked: Asked, answer_all: Callable[[Sequence[Asked]], Sequence[Answer]]
    ) -> Answer:
        """The answer to one call; an error that answering it alone raises is raised here alone.

        Args:
            asked: What is asked.
            answer_all: Gives an answer to each of some; the same for all threads.
        """
        line = self._find_line()
        leader = line.leader
        if leader is not None and leader.thread == threading.get_ident():
            return answer_all([asked])[0]  # asked while it answers, as by an encoder that routes
        call, together = _Call[Asked, Answer](asked), list[_Call[Asked, Answer]]()
        try:
            together = line.take_turn(call)
            if together:
                _answer(together, answer_all)
        finally:  # whatever stopped this thread, the others go on
            line.leave(call, together)
        if call.error is not None:
            raise call.error
        return call.answers[0]

    def _find_line(self) -> _Line[Asked, Answer]:
        process = os.getpid()
        found = self._lines.get(process)
        # One step for the interpreter, so that threads which ask at once find the same.
        return self._lines.setdefault(process, _Line()) if found is None else found


def _answer(
    calls: list[_Call[Asked, Answer]],
    answer_all: Callable[[Sequence[Asked]], Sequence[Answer]],
) -> None:
    """Answer the calls together; where that fails each by itself, for it may be one that fails."""
    if len(calls) > 1:
        try:
            answers = answer_all([call.asked for call in calls])
        except Exception:  # of one of them, which will say so itself
            pass
        else:
            for call, answer in zip(calls, answers, strict=True):
                call.answers.append(answer)
            return
    for call in calls:
        try:
            call.answers.append(answer_all([call.asked])[0])
        except Exception as error:
            call.error = error
