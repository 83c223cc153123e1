"""A hot path that has become twice as slow fails: ratios of one run, and no time of a clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from experiments.bench.guard import MOST, Duel, find_slow, fit_router, list_duels


@pytest.fixture(scope="module")
def duels() -> dict[str, Duel]:
    return list_duels(fit_router())


def test_nothing_has_become_twice_as_slow(duels: dict[str, Duel]) -> None:
    assert set(duels) == set(MOST)
    assert find_slow(duels) == {}, "beyond their bounds in every round; see experiments/bench/guard"


def twice(act: Callable[[int], object]) -> Callable[[int], object]:
    def act_twice(i: int) -> object:
        act(i)
        return act(i)

    return act_twice


def test_set_price_that_is_twice_as_slow_is_found(duels: dict[str, Duel]) -> None:
    duel = duels["set_price"]
    assert find_slow({"set_price": duel._replace(act=twice(duel.act))}).keys() == {"set_price"}


@pytest.mark.slow
def test_everything_that_is_twice_as_slow_is_found(duels: dict[str, Duel]) -> None:
    slower = {
        name: duel._replace(act=twice(duel.act), apart=duel.apart and twice(duel.apart))
        for name, duel in duels.items()
    }
    assert find_slow(slower).keys() == MOST.keys()
