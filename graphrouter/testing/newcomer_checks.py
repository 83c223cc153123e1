"""What routers promise of models that join them after they were fitted."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from graphrouter.exceptions import DataError, NotApplicableError, UnknownModelError
from graphrouter.pool import ModelCard
from graphrouter.router.protocol import Router
from graphrouter.testing.check_data import CARDS, NUM_MODELS, PROMPTS
from graphrouter.testing.fitting_checks import load_saved
from graphrouter.testing.prediction_checks import TRACE
from graphrouter.testing.router_check import (
    Check,
    CheckedRouter,
    expect,
    expect_close,
    expect_equal,
    expect_error,
)
from graphrouter.types import FloatArray, Predictions

NUM_NEW = len(CARDS)


def check_card_alone(checked: CheckedRouter) -> None:
    """Models join by their cards alone, and nobody else moves."""
    router, before = checked.router, checked.predictions
    wider = router.add_models(CARDS)
    after = wider.predict(PROMPTS)
    names = (*router.models, *(card.model for card in CARDS))
    expect(type(wider) is checked.kind, f"add_models gave a {type(wider).__name__}.")
    expect(wider.models == after.models == names, f"models are {after.models}; expected {names}.")
    _expect_others_stay(checked.kind, before, after)
    _expect_inside(after.effect[:, -NUM_NEW:])
    if checked.kind.can_predict_cost:
        priced = (after.cost_usd[:, -NUM_NEW] > 0).all()
        expect(priced, "a newcomer with list prices has no cost.")
    choice = wider.route(PROMPTS[0]).model
    expect(choice in wider.models, f"it chose {choice!r}, which is not in the pool.")
    shape = wider.predict([]).effect.shape
    expect(shape == (0, NUM_MODELS + NUM_NEW), f"effect has shape {shape} for no query.")
    expect_equal(router.predict(PROMPTS).effect, before.effect, "effect of the router left behind")


def check_outcomes_place(checked: CheckedRouter) -> None:
    """Outcomes place a newcomer; the others stay, unless the class declares that it shares them."""
    before = checked.predictions
    wider = checked.router.add_models(CARDS, outcomes=checked.data.probes)
    together = wider.predict(PROMPTS)
    _expect_inside(together.effect[:, -NUM_NEW:])
    blind = checked.router.add_models(CARDS).predict(PROMPTS)
    if checked.kind.can_predict_cost:
        expect((together.cost_usd[:, -NUM_NEW] > 0).all(), "a newcomer with costs has none.")
    if not checked.kind.shares_outcomes:
        if checked.kind.can_predict_cost:  # elsewhere cost may be tokens times prices
            recorded = (together.cost_usd[:, -1] > 0).all()
            expect(recorded, "a newcomer whose costs were recorded has none.")
        _expect_others_stay(checked.kind, before, together)
    else:
        others = np.abs(together.effect - blind.effect)[:, :NUM_MODELS]
        expect(others.max() > 0, "shares_outcomes, and no other model has moved.")
    for i, prompt in enumerate(PROMPTS):
        alone = wider.predict([prompt])
        expect_close(alone.effect[0], together.effect[i], "effect alone", atol=1e-9)
        expect_close(alone.cost_usd[0], together.cost_usd[i], "cost_usd alone", rtol=1e-9)


def check_order_of_cards(checked: CheckedRouter) -> None:
    """Newcomers stand in the order of their cards, which changes nothing else."""
    probes = checked.data.probes
    one = checked.router.add_models(CARDS, outcomes=probes).predict(PROMPTS)
    other = checked.router.add_models(CARDS[::-1], outcomes=probes).predict(PROMPTS)
    names = tuple(card.model for card in CARDS[::-1])
    expect(other.models[-NUM_NEW:] == names, f"models end in {other.models[-NUM_NEW:]}.")
    turned = slice(None, -NUM_NEW - 1, -1)
    expect_close(other.effect[:, -NUM_NEW:], one.effect[:, turned], "effect", atol=1e-6)
    expect_close(other.cost_usd[:, -NUM_NEW:], one.cost_usd[:, turned], "cost_usd", rtol=1e-6)


def check_saved_with_newcomers(checked: CheckedRouter) -> None:
    """A router with newcomers is saved whole, and takes in more when it was loaded."""
    probes = checked.data.probes
    first, second = (card.model for card in CARDS)
    theirs = probes[probes["model"] == first].drop(columns="model")
    wider = checked.router.add_model(CARDS[0], outcomes=theirs)
    with TemporaryDirectory() as place:
        wider.save(Path(place) / "saved")
        loaded = load_saved(checked.kind, Path(place) / "saved")
    expect_equal(loaded.predict(PROMPTS).effect, wider.predict(PROMPTS).effect, "effect")
    twice = loaded.add_models(CARDS[1:], outcomes=probes[probes["model"] == second])
    expect(twice.models[-NUM_NEW:] == (first, second), f"models end in {twice.models[-NUM_NEW:]}.")
    known = np.isfinite(twice.predict(PROMPTS).effect[:, -NUM_NEW:])
    expect(known.all(), "a newcomer has no effect.")


def check_broken_newcomers(checked: CheckedRouter) -> None:
    """Newcomers that break the contract are refused, with one line that says why."""
    router, probes = checked.router, checked.data.probes
    known = ModelCard(model=router.models[0])
    for cards, outcomes, saying in (
        ((known,), None, "already"),
        ((CARDS[0], CARDS[0]), None, "'fresh'"),
        (CARDS[:1], probes, "'fresher'"),
        (CARDS, probes.head(0), "no rows"),
        (CARDS, probes.assign(effect=2.0), "effect is 2"),
    ):
        with expect_error(DataError, UnknownModelError, saying=saying, what="add_models"):
            router.add_models(cards, outcomes=outcomes)
    with expect_error(DataError, saying="'fresher' too", what="add_model"):
        router.add_model(CARDS[0], outcomes=probes)


def check_refusal(checked: CheckedRouter) -> None:
    """A router that cannot take in a model without a new fit says so."""
    with expect_error(NotApplicableError, saying="fit it again", what="add_model"):
        checked.router.add_model(CARDS[0])


def _expect_inside(effect: FloatArray) -> None:
    expect(((effect > 0) & (effect < 1)).all(), "the effect of a newcomer lies outside (0, 1).")


def _expect_others_stay(kind: type[Router], before: Predictions, after: Predictions) -> None:
    near = TRACE if kind.ranks_pool else 1e-9
    expect_close(after.effect[:, :-NUM_NEW], before.effect, "effect of the others", atol=near)
    expect_close(after.cost_usd[:, :-NUM_NEW], before.cost_usd, "cost of the others", rtol=1e-9)


def _can_extend(kind: type[Router]) -> bool:
    return kind.can_extend


def _can_extend_and_save(kind: type[Router]) -> bool:
    return kind.can_extend and kind.can_save


def _cannot_extend(kind: type[Router]) -> bool:
    return not kind.can_extend


NEWCOMER_CHECKS = (
    Check.of(check_card_alone, applies=_can_extend),
    Check.of(check_outcomes_place, applies=_can_extend),
    Check.of(check_order_of_cards, applies=_can_extend),
    Check.of(check_saved_with_newcomers, applies=_can_extend_and_save),
    Check.of(check_broken_newcomers, applies=_can_extend),
    Check.of(check_refusal, applies=_cannot_extend),
)
"""Checks of models that join, or that cannot."""
