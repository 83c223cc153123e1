"""How deployments fare now: whom to leave alone, who is slow, and who takes the next call.

Nothing of it is kept or shared: every process sees for itself, as it is the one that would wait.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphrouter.gateway.upstreams import Deployment

__all__ = ["DeploymentHealth", "UpstreamHealth"]

FAILURES_TO_OPEN = 5
"""Failures in a row after which a deployment is left alone."""
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 120.0
"""How long it is left alone: twice as long each time that the call after it fails too."""
NUM_SEEN = 100
"""Times to the first byte that are remembered."""
LEAST_SEEN = 20
"""Of them from which a 95th percentile is read."""
HALF_LIFE_S = 60.0
"""After which what was seen of a latency counts half."""
REFRESH_S = 1.0
"""How long the same extra seconds are told, so that decisions of that time make one batch."""


@dataclass
class DeploymentHealth:
    """What has been seen of one deployment."""

    num_failures: int = 0
    """In a row."""
    pause_s: float = 0.0
    """Of the present pause, or the last one."""
    paused_until: float = 0.0
    is_probed: bool = False
    """Whether the one call after a pause is on its way."""
    in_flight: set[int] = field(default_factory=set)
    """Numbers of the calls on their way."""
    first_bytes_s: deque[float] = field(default_factory=lambda: deque(maxlen=NUM_SEEN))
    late_s: float = 0.0
    """Mean of the seconds that calls took beyond what was expected, newer ones counting more."""
    late_weight: float = 0.0
    late_at: float = 0.0

    def is_paused(self, now: float) -> bool:
        """Whether no call is to go there, but for the one that tries again."""
        return self.num_failures >= FAILURES_TO_OPEN and (now < self.paused_until or self.is_probed)

    def note_failure(self, now: float, wait_s: float | None) -> None:
        """Count a failure.

        Args:
            now: Of the clock.
            wait_s: Seconds after which the upstream asks to come again; None where it does not say.
        """
        self.num_failures += 1
        self.is_probed = False
        if wait_s is not None and wait_s > 0:
            self.num_failures = max(self.num_failures, FAILURES_TO_OPEN)
            self.paused_until = now + min(wait_s, LONGEST_PAUSE_S)
        elif self.num_failures >= FAILURES_TO_OPEN:
            self.pause_s = min(max(FIRST_PAUSE_S, 2 * self.pause_s), LONGEST_PAUSE_S)
            self.paused_until = now + self.pause_s

    def note_answer(self, first_byte_s: float) -> None:
        """Count an answer, which ends failures and pauses."""
        self.num_failures, self.pause_s, self.is_probed = 0, 0.0, False
        self.first_bytes_s.append(first_byte_s)

    def note_lateness(self, now: float, seconds: float) -> None:
        """Take in how much longer than expected a call has taken; below 0 where it was quick."""
        kept = self._keep(now)
        self.late_s = (kept * self.late_s + seconds) / (kept + 1)
        self.late_weight, self.late_at = kept + 1, now

    def extra_s(self, now: float) -> float:
        """Seconds on top of the expected ones, at least 0: none where nothing was seen lately."""
        kept = self._keep(now)
        return max(0.0, self.late_s * kept / (kept + 1))

    def _keep(self, now: float) -> float:
        """What is left of the weight of what was seen."""
        return self.late_weight * math.exp2((self.late_at - now) / HALF_LIFE_S)


class UpstreamHealth:
    """What has been seen of all deployments.

    A deployment that fails `FAILURES_TO_OPEN` times in a row, or asks to come again later, is left
    alone for a while; then one call tries it (Nygard, Release It!, 2007, circuit breaker).

    Example:
        >>> health, nano = UpstreamHealth(), Deployment("nano", "http://a/v1", {}, {}, 5, 0)
        >>> for _ in range(5):
        ...     health.note_failure(nano, None)
        >>> sorted(health.find_paused({"nano": (nano,)}))
        ['nano']
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing seen yet.

        Args:
            clock: Seconds that never go back.
        """
        self._clock, self._seen = clock, dict[tuple[str, str, str], DeploymentHealth]()
        self._num_calls = 0
        self._extra: tuple[tuple[str, float], ...] = ()
        self._extra_at = -math.inf

    def of(self, deployment: Deployment) -> DeploymentHealth:
        """What has been seen of a deployment."""
        name = str(deployment.body.get("model"))
        key = (deployment.candidate, deployment.address, name)
        return self._seen.setdefault(key, DeploymentHealth())

    def order(self, deployments: Iterable[Deployment]) -> list[Deployment]:
        """Deployments of one model in the order in which to ask them.

        By chance with their weights, those with more calls on their way less often; those that are
        paused last.
        """
        now = self._clock()

        def draw(deployment: Deployment) -> tuple[bool, float]:
            # The least of exponential draws falls on each by its weight.
            seen = self.of(deployment)
            weight = deployment.weight / (1 + len(seen.in_flight))
            return seen.is_paused(now), random.expovariate(weight)

        several = list(deployments)
        return several if len(several) < 2 else sorted(several, key=draw)

    def find_paused(self, deployments: Mapping[str, Sequence[Deployment]]) -> frozenset[str]:
        """Models all of whose deployments are paused."""
        if not any(each.num_failures >= FAILURES_TO_OPEN for each in self._seen.values()):
            return frozenset()
        now = self._clock()
        return frozenset(
            name
            for name, several in deployments.items()
            if all(self.of(each).is_paused(now) for each in several)
        )

    def find_extra(
        self, deployments: Mapping[str, Sequence[Deployment]]
    ) -> tuple[tuple[str, float], ...]:
        """Seconds that models take longer now than expected, those above 0, by name.

        Of several deployments that of the least.
        """
        now = self._clock()
        if now - self._extra_at >= REFRESH_S:
            extra = {
                name: min(self.of(each).extra_s(now) for each in several)
                for name, several in deployments.items()
            }
            self._extra = tuple((name, round(s, 2)) for name, s in extra.items() if s >= 0.01)
            self._extra_at = now
        return self._extra

    def begin(self, deployment: Deployment, *, is_forced: bool = False) -> int | None:
        """Say that a call is about to go there, for a number of it; None where it is not to.

        Args:
            deployment: Who is asked.
            is_forced: Whether it is asked though it is paused.
        """
        seen = self.of(deployment)
        if seen.is_paused(self._clock()) and not is_forced:
            return None
        seen.is_probed = seen.num_failures >= FAILURES_TO_OPEN
        self._num_calls += 1
        seen.in_flight.add(self._num_calls)
        return self._num_calls

    def end(self, deployment: Deployment, number: int) -> None:
        """Say that a call is over, however it went; once is enough, and more do no harm.

        Args:
            deployment: Who was asked.
            number: What `begin` has given.
        """
        seen = self.of(deployment)
        if number in seen.in_flight:
            seen.in_flight.remove(number)
            seen.is_probed = False

    def note_failure(self, deployment: Deployment, wait_s: float | None) -> None:
        """Count a failure; see `DeploymentHealth.note_failure`."""
        self.of(deployment).note_failure(self._clock(), wait_s)

    def note_answer(self, deployment: Deployment, first_byte_s: float) -> None:
        """Count an answer.

        Args:
            deployment: Whose.
            first_byte_s: Seconds that it took to begin.
        """
        self.of(deployment).note_answer(first_byte_s)

    def note_latency(
        self, deployment: Deployment, seconds: float, expected_s: float | None
    ) -> None:
        """Take in how long a whole answer has taken, where it is known what was expected."""
        if expected_s is not None and math.isfinite(expected_s):
            self.of(deployment).note_lateness(self._clock(), seconds - expected_s)

    def find_p95_s(self, deployment: Deployment) -> float | None:
        """The 95th percentile of seconds to the first byte; None where too few were seen."""
        seen = self.of(deployment).first_bytes_s
        return float(np.quantile(seen, 0.95)) if len(seen) >= LEAST_SEEN else None
