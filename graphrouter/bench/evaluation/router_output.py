"""Who is compared: predictions to choose by, or, for a cascade, what its calls have brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from graphrouter.policy import PresetName
from graphrouter.types import BoolArray, FloatArray, Predictions

ORACLE = "oracle"
"""Name of the one that predicts the observed outcomes themselves."""


class Replayed(NamedTuple):
    """What a cascade reaches on the evaluated queries, at each of `list_replay_trade_offs`."""

    cost_usd: FloatArray
    """(num_queries, num_trade_offs) US dollars of all calls of a query together."""
    effect: FloatArray
    """(num_queries, num_trade_offs) observed effect of the answer that is kept."""
    num_calls: FloatArray
    """(num_queries, num_trade_offs) calls that were made; NaN = nobody counted them."""
    answered: BoolArray
    """(num_queries,) False where no model could be asked; the other entries are then 0."""


@dataclass(frozen=True, eq=False)
class RouterOutput:
    """A router in one setting on the evaluated queries."""

    predictions: Predictions
    """(num_queries, num_models) each, in the column order of the evaluation set."""
    replayed: Replayed | None = None
    """Given for a cascade, which looks at the answers of the models that it calls; its predictions
    are not scored."""
    preset_utilities: Mapping[PresetName, FloatArray] | None = None
    """(num_queries, num_models) what to maximise in each preset, for a router that was trained for
    the presets; else its predictions and the policy of the preset decide."""


def find_same_outputs(outputs: Sequence[Mapping[str, RouterOutput]]) -> dict[str, str]:
    """Baselines that say what one before them says, in every run, to rounding."""
    _, *names = outputs[0]
    same: dict[str, str] = {}
    for i, name in enumerate(names):
        for earlier in names[:i]:
            if earlier not in same and all(
                _say_the_same(each[name], each[earlier]) for each in outputs
            ):
                same[name] = earlier
                break
    return same


def _say_the_same(one: RouterOutput, other: RouterOutput) -> bool:
    """Whether two routers predict the same effects and costs and have no rule of their own."""
    if any(each.replayed is not None or each.preset_utilities is not None for each in (one, other)):
        return False
    return all(
        np.allclose(
            getattr(one.predictions, quantity),
            getattr(other.predictions, quantity),
            rtol=1e-9,
            atol=1e-12,
            equal_nan=True,
        )
        for quantity in ("effect", "cost_usd")
    )
