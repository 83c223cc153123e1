"""Whom to leave alone, who is slow, and who takes the next call, by a clock that tests turn."""

from __future__ import annotations

from collections import Counter

import pytest

from graphrouter.gateway.upstream_health import (
    FAILURES_TO_OPEN,
    FIRST_PAUSE_S,
    HALF_LIFE_S,
    LEAST_SEEN,
    LONGEST_PAUSE_S,
    UpstreamHealth,
)
from graphrouter.gateway.upstreams import Deployment

NANO = Deployment("nano", "http://a/v1", {}, {"model": "n"}, 5, 0)
OTHER = NANO._replace(address="http://b/v1", weight=3)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> UpstreamHealth:
    return UpstreamHealth(clock)


def end(health: UpstreamHealth) -> None:
    """Begin a call and end it."""
    number = health.begin(NANO)
    assert number is not None
    health.end(NANO, number)
    health.end(NANO, number)  # twice does no harm


def fail(health: UpstreamHealth, times: int, wait_s: float | None = None) -> None:
    for _ in range(times):
        end(health)
        health.note_failure(NANO, wait_s)


def test_who_fails_again_and_again_is_left_alone_and_tried_once(
    health: UpstreamHealth, clock: Clock
) -> None:
    fail(health, FAILURES_TO_OPEN - 1)
    assert health.find_paused({"nano": (NANO,)}) == frozenset()
    fail(health, 1)
    assert not health.begin(NANO)
    assert health.find_paused({"nano": (NANO,), "two": (NANO, OTHER)}) == {"nano"}
    pause = FIRST_PAUSE_S
    for _ in range(3):
        clock.now += pause
        number = health.begin(NANO)
        assert number is not None
        assert not health.begin(NANO)  # the one that tries is enough
        health.end(NANO, number)
        health.note_failure(NANO, None)
        pause *= 2
        clock.now += pause * 0.9
        assert not health.begin(NANO)
        clock.now -= pause * 0.9
    clock.now += LONGEST_PAUSE_S
    end(health)
    health.note_answer(NANO, 0.1)
    assert health.begin(NANO)
    assert health.of(NANO).num_failures == 0


def test_who_asks_to_come_later_is_left_alone_so_long(health: UpstreamHealth, clock: Clock) -> None:
    fail(health, 1, wait_s=60)
    clock.now = 59
    assert not health.begin(NANO)
    clock.now = 61
    end(health)
    fail(health, 1, wait_s=1e9)
    clock.now += LONGEST_PAUSE_S
    assert health.begin(NANO)


def test_weights_and_calls_on_their_way_say_who_is_next(health: UpstreamHealth) -> None:
    drawn = Counter(health.order([NANO, OTHER])[0].address for _ in range(4000))
    assert drawn["http://b/v1"] == pytest.approx(3000, abs=150)  # 5 standard errors
    numbers = [health.begin(OTHER) for _ in range(29)]
    drawn = Counter(health.order([NANO, OTHER])[0].address for _ in range(4000))
    assert drawn["http://b/v1"] == pytest.approx(4000 / 11, abs=100)
    for number in numbers:
        assert number is not None
        health.end(OTHER, number)
    fail(health, FAILURES_TO_OPEN)
    assert {health.order([NANO, OTHER])[0].address for _ in range(50)} == {"http://b/v1"}


def test_seconds_beyond_the_expected_count_and_are_forgotten(
    health: UpstreamHealth, clock: Clock
) -> None:
    served = {"nano": (NANO,), "two": (OTHER,)}
    assert health.find_extra(served) == ()
    for _ in range(20):
        health.note_latency(NANO, 5.0, 1.0)
        health.note_latency(OTHER, 0.5, 1.0)  # quicker than expected is not counted
        health.note_latency(OTHER, 9.0, None)
        health.note_latency(OTHER, 9.0, float("nan"))
    clock.now = 2.0
    ((name, seconds),) = health.find_extra(served)
    assert name == "nano"
    assert seconds == pytest.approx(4 * 20 / 21, abs=0.1)
    clock.now += 0.5
    health.note_latency(NANO, 1.0, 1.0)
    assert health.find_extra(served) == ((name, seconds),)  # the same for a second
    clock.now += 10 * HALF_LIFE_S
    ((_, later),) = health.find_extra(served)
    assert later < 0.1


def test_a_percentile_takes_some_calls(health: UpstreamHealth) -> None:
    for i in range(LEAST_SEEN):
        assert health.find_p95_s(NANO) is None
        health.note_answer(NANO, i / 100)
    assert health.find_p95_s(NANO) == pytest.approx(0.1805)
