"""Calls that several threads make at the same time, answered together where that is cheaper.

Of a small batch each query costs a fraction of what it costs alone: most of a call are small
operations, which take as long for eight rows as for one, and hold the lock of the interpreter.
Whoever comes while another thread computes is put on a list, and one of those on it computes for
all of them next (flat combining: Hendler, Incze, Shavit and Tzafrir 2010). Nobody waits for more
calls to come, so a thread alone is as fast as without.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Self, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_MOST_TOGETHER = 64


class _Call(Generic[Asked, Answer]):
    """One call, and what has become of it."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.thread = threading.get_ident()
        self.answers: list[Answer] = []
        """One, once it is answered."""
        self.error: Exception | None = None
        self.together: list[_Call[Asked, Answer]] = [self]
        """What its thread computes, this call first, where it is the thread's turn."""
        self.gate = threading.Lock()
        self.gate.acquire()
        """Opened when the call is answered, or when it is its thread's turn."""

    @property
    def is_done(self) -> bool:
        return bool(self.answers) or self.error is not None


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
        self._guard = threading.Lock()
        self._waiting: list[_Call[Asked, Answer]] = []
        self._leader: int | None = None
        """The thread that computes; none where nobody asks."""
        self._process = os.getpid()

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        """A copy, or what another process gets, has nobody who asks."""
        return type(self), ()

    def ask(
        self, asked: Asked, answer_all: Callable[[Sequence[Asked]], Sequence[Answer]]
    ) -> Answer:
        """The answer to one call; an error that answering it alone raises is raised here alone.

        Args:
            asked: What is asked.
            answer_all: Gives an answer to each of some; the same for all threads.
        """
        if self._process != os.getpid():  # of a fork, which has none of the threads that asked
            self.__init__()  # type: ignore[misc]
        call = _Call[Asked, Answer](asked)
        with self._guard:
            leader = self._leader
            if leader is None:
                self._leader = call.thread
            elif leader != call.thread:
                self._waiting.append(call)
        if leader == call.thread:  # asked while it answers, as by an encoder that routes
            return answer_all([asked])[0]
        if leader is not None:
            call.gate.acquire()
        if not call.is_done:
            self._answer(call.together, answer_all)
        if call.error is not None:
            raise call.error
        return call.answers[0]

    def _answer(
        self,
        calls: list[_Call[Asked, Answer]],
        answer_all: Callable[[Sequence[Asked]], Sequence[Answer]],
    ) -> None:
        """Answer the calls, the first of which is this thread's, and pass the turn on."""
        try:
            try:
                answers = answer_all([call.asked for call in calls])
            except Exception as error:
                if len(calls) == 1:
                    calls[0].error = error
                else:
                    self._answer_each(calls, answer_all)
            else:
                for call, answer in zip(calls, answers, strict=True):
                    call.answers.append(answer)
        finally:  # whatever stopped this thread, the others go on
            with self._guard:
                self._waiting[:0] = [call for call in calls[1:] if not call.is_done]
                following = self._waiting[:_MOST_TOGETHER]
                del self._waiting[:_MOST_TOGETHER]
                self._leader = following[0].thread if following else None
            if following:
                following[0].together = following
                following[0].gate.release()
            for call in calls[1:]:
                if call.is_done:
                    call.gate.release()

    def _answer_each(
        self,
        calls: list[_Call[Asked, Answer]],
        answer_all: Callable[[Sequence[Asked]], Sequence[Answer]],
    ) -> None:
        """Each by itself: what one cannot be answered for is no matter of the others."""
        for call in calls:
            try:
                call.answers.extend(answer_all([call.asked]))
            except Exception as error:
                call.error = error
