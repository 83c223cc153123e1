"""What every router promises of being fitted, saved and loaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from graphrouter.bench.baselines import BASELINES
from graphrouter.encoders import HashingEncoder
from graphrouter.exceptions import ArtifactError, NotApplicableError
from graphrouter.policy import Policy
from graphrouter.router.loading import load_router
from graphrouter.router.protocol import Router
from graphrouter.testing.check_data import PROMPTS, CheckData
from graphrouter.testing.router_check import (
    Check,
    CheckedRouter,
    expect,
    expect_equal,
    expect_error,
)
from graphrouter.types import Predictions

ODD_PROMPTS = ("prompt number 3", "", "quite another text")


def check_test_rows(checked: CheckedRouter) -> None:
    """A fit repeats to the bit, and test outcomes turned upside down change nothing."""
    again = checked.fit(checked.data.view_with_other_test_rows).predict(PROMPTS)
    _expect_same(again, checked.predictions)


def check_own_encoder(checked: CheckedRouter) -> None:
    """A text encoder object can be given to `fit`."""
    view = checked.data.odd["no tasks"]()
    router = checked.kind.fit(
        view.data, view.config, split=view.split, encoder=HashingEncoder(32), progress=False
    )
    expect(
        router.predict(ODD_PROMPTS).effect.shape == (3, 4), "predictions have an unexpected shape."
    )


def check_saving(checked: CheckedRouter) -> None:
    """A loaded router is of the same class and predicts the same; no pickle is written."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "saved"
        checked.router.save(folder)
        loaded = load_saved(checked.kind, folder)
        expect(type(loaded) is checked.kind, f"what was loaded is a {type(loaded).__name__}.")
        _expect_same(loaded.predict(PROMPTS), checked.predictions)
        pickles = [file.name for file in folder.rglob("*.pkl")]
        expect(not pickles, f"it wrote {pickles}.")
        name = "task_mean" if checked.kind.name == "best_single" else "best_single"
        with expect_error(ArtifactError, saying="expected", what=f"loading it as {name}"):
            BASELINES[name].load(folder)


def check_no_saving(checked: CheckedRouter) -> None:
    """A router that cannot be saved says so."""
    with (
        TemporaryDirectory() as place,
        expect_error(NotApplicableError, saying="cannot be saved", what="save"),
    ):
        checked.router.save(Path(place) / "saved")


def check_odd_data(checked: CheckedRouter, oddity: str) -> None:
    """Odd data is fitted, or refused with the reason that the class declares."""
    view, without_costs = checked.data.odd[oddity](), oddity == "no costs"
    if without_costs and checked.kind.needs_costs:
        with expect_error(NotApplicableError, saying="cost", what="fitting without costs"):
            checked.fit(view)
        return
    router = checked.fit(view)
    found = router.predict(ODD_PROMPTS, tasks=["t", None, "unknown"])
    expect(found.effect.shape == (3, 4), f"effect has shape {found.effect.shape}.")
    expect(np.isfinite(found.effect).any(axis=1).all(), "for some query it expects nothing.")
    priced = not np.isnan(found.cost_usd).all()
    expect(
        priced == (checked.kind.can_predict_cost and not without_costs),
        f"it predicts {'' if priced else 'no '}costs.",
    )
    choice = router.route(ODD_PROMPTS[0], policy=Policy.preset("performance_first")).model
    expect(choice in router.models, f"it chose {choice!r}, which is not in the pool.")


def check_answers(checked: CheckedRouter) -> None:
    """Data without texts of answers is fitted, or refused where the class declares that need."""
    view = checked.data.view_without_answers
    if checked.kind.needs_answers:
        with expect_error(NotApplicableError, saying="answer", what="fitting without answers"):
            checked.fit(view)
        return
    checked.fit(view).predict(PROMPTS)


def load_saved(kind: type[Router], folder: Path) -> Router:
    """The router in a folder: by `load_router` where it is one of ours, else by its class."""
    known = {"graphrouter": None, **BASELINES}
    ours = kind.__module__.startswith("graphrouter.") and kind.name in known
    return load_router(folder) if ours else kind.load(folder)


def _expect_same(received: Predictions, expected: Predictions) -> None:
    expect_equal(received.effect, expected.effect, "effect")
    expect_equal(received.cost_usd, expected.cost_usd, "cost_usd")


def _can_save(kind: type[Router]) -> bool:
    return kind.can_save


def _cannot_save(kind: type[Router]) -> bool:
    return not kind.can_save


FITTING_CHECKS = (
    Check.of(check_test_rows),
    Check.of(check_own_encoder),
    Check.of(check_saving, applies=_can_save),
    Check.of(check_no_saving, applies=_cannot_save),
    *(Check.of(partial(check_odd_data, oddity=oddity), oddity) for oddity in CheckData().odd),
    Check.of(check_answers),
)
"""Checks of fitting, saving and loading."""
