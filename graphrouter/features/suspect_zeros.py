"""Zeros of logs that stand for what was not recorded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar, cast

import numpy as np

from graphrouter.artifact_tables import StoredTable
from graphrouter.features.channels import read_columns
from graphrouter.lazy import pandas as pd
from graphrouter.types import IntArray

SUSPECT_COLUMNS = ("cost_usd", "input_tokens", "output_tokens", "latency_s")
_Table = TypeVar("_Table", bound="pd.DataFrame | StoredTable")


def hide_suspect_zeros(
    outcomes: _Table,
    *,
    trusted: Collection[str] = (),
    named: tuple[IntArray, Sequence[str]] | None = None,
) -> _Table:
    """The outcomes in which a 0 that cannot be meant counts as not recorded: NaN takes its place.

    Logs write 0 for what they do not know, such as the usage of a streamed answer. Suspect are a
    cost of 0 beside positive costs of the same model, input tokens and latencies of 0, and output
    tokens of 0 of a model that also scored above 0 with none, or had no input tokens either. A
    model whose costs are all 0 is free.

    Args:
        outcomes: With the columns `model`, `effect`, `cost_usd`, `input_tokens`, `output_tokens`
            and `latency_s`; left as it is.
        trusted: Models whose zeros stay.
        named: Position of each outcome's model among names, and the names, where they are known
            already.

    Example:
        >>> costs = pd.DataFrame({"model": ["a", "a", "b"], "cost_usd": [0.0, 0.2, 0.0]})
        >>> others = dict.fromkeys(["effect", "input_tokens", "output_tokens", "latency_s"], 1.0)
        >>> hide_suspect_zeros(costs.assign(**others))["cost_usd"].tolist()
        [nan, 0.2, 0.0]
    """
    effect, cost, prompt, answer, latency = read_columns(outcomes, "effect", *SUSPECT_COLUMNS)
    if not any((column == 0).any() for column in (cost, prompt, answer, latency)):
        return outcomes
    model, names = named or pd.factorize(outcomes["model"])
    doubted = ~np.isin(np.asarray(names, dtype=object), list(trusted))[model]
    impossible = (answer == 0) & ((effect > 0) | (prompt == 0))
    suspect = (
        (cost == 0) & np.isin(model, model[cost > 0]),
        prompt == 0,
        (answer == 0) & np.isin(model, model[impossible]),
        latency == 0,
    )
    hidden = {name: rows & doubted for name, rows in zip(SUSPECT_COLUMNS, suspect, strict=True)}
    if isinstance(outcomes, StoredTable):
        return cast("_Table", outcomes.hide(**hidden))
    shown = {name: outcomes[name].mask(rows) for name, rows in hidden.items()}
    return cast("_Table", outcomes.assign(**shown))
