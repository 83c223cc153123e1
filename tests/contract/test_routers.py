"""Every router of the catalogue is held against what every router promises."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from graphrouter.bench.baselines import BASELINES, find_router
from graphrouter.bench.baselines.methods import paper
from graphrouter.testing import Check, CheckData, CheckedRouter, conformance_checks

NAMES = ("graphrouter", *BASELINES)


@pytest.fixture(scope="module", autouse=True)
def _short_trainings() -> Iterator[None]:
    """The published GraphRouter trains for 1,000 steps, whatever the data; what the suite asks for
    holds after a few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "NUM_STEPS", 20)
        yield


@cache
def data() -> CheckData:
    return CheckData()


@cache
def checked(name: str) -> CheckedRouter:
    return CheckedRouter(find_router(name), data())


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(name, check, id=f"{name}-{check.name}")
        for name in NAMES
        for check in conformance_checks(find_router(name))
    ],
)
def test_router_keeps_its_promises(name: str, check: Check) -> None:
    check.run(checked(name))


def test_every_check_is_one_that_some_router_runs_through() -> None:
    run = {check.name for name in NAMES for check in conformance_checks(find_router(name))}
    assert run == {check.name for check in conformance_checks()} - {"no_saving"}
