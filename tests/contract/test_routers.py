"""Every router of the catalogue is held against what every router promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import chain

import numpy as np
import pytest
import torch

from graphrouter.bench.baselines import BASELINES, find_router
from graphrouter.bench.baselines.methods import paper
from graphrouter.exceptions import UnknownModelError
from graphrouter.policy import Policy
from graphrouter.pool import ModelCard
from graphrouter.router.graph_router import GraphRouter
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


def arrays_in(value: object) -> Iterator[np.ndarray]:
    """Every array and tensor that an object holds, at any depth."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, torch.Tensor):
        yield value.detach().numpy()
    elif isinstance(value, torch.nn.Module):
        for tensor in value.state_dict().values():
            yield tensor.numpy()
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(arrays_in, value.values()))
    elif isinstance(value, tuple):
        yield from chain.from_iterable(map(arrays_in, value))
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_in(getattr(value, field.name))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_fitted_lies_in_memory_as_what_is_loaded(name: str) -> None:
    """Row after row: otherwise products round differently after loading, on some processors."""
    router = checked(name).router
    routers: list[object] = [router]
    if isinstance(router, GraphRouter):
        routers = [(router.learned, router.support)]
    elif router.can_extend:
        routers.append(router.add_models([ModelCard(model="newcomer")]))
    for one in routers:
        found = list(arrays_in(one))
        assert all(array.flags.c_contiguous for array in found)


def test_every_check_is_one_that_some_router_runs_through() -> None:
    run = {check.name for name in NAMES for check in conformance_checks(find_router(name))}
    assert run == {check.name for check in conformance_checks()} - {"no_saving"}


@pytest.mark.parametrize("name", NAMES)
def test_every_router_heeds_the_moment(name: str) -> None:
    router, policy = checked(name).router, Policy(cost_weight=0)
    usual = router.route("Add 3 and 4.", policy=policy)
    without = router.route("Add 3 and 4.", policy=policy, unavailable={usual.model})
    assert without.model != usual.model
    assert without.rejected[usual.model] == "unavailable now"
    slow = router.route("Add 3 and 4.", policy=policy, extra_latency_s={usual.model: 4})
    assert slow.model == usual.model
    if usual.latency_s is not None:
        assert slow.latency_s == pytest.approx(usual.latency_s + 4)
    with pytest.raises(UnknownModelError, match="unavailable names 'nobody'"):
        router.route("Add 3 and 4.", unavailable={"nobody"})
