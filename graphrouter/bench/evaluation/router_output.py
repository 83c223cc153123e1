"""Who is compared: predictions to choose by, or, for a cascade, what its calls have brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from graphrouter.policy import PresetName
from graphrouter.types import BoolArray, FloatArray, Predictions


class Replayed(NamedTuple):
    """What a cascade reaches on the evaluated queries, at each of `list_replay_trade_offs`."""

    cost_usd: FloatArray
    """(num_queries, num_trade_offs) US dollars of all calls of a query together."""
    effect: FloatArray
    """(num_queries, num_trade_offs) observed effect of the answer that is kept."""
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
