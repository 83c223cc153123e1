"""How many calls a query plans and cascades make, and what these bring, at each trade-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from graphrouter.bench.evaluation.evaluate import SeedRun
from graphrouter.bench.evaluation.frontier import sweep_output
from graphrouter.bench.evaluation.measures import explain_no_costs
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.bench.evaluation.routing_measures import choose_by_preset, count_calls
from graphrouter.policy import PRESETS, PresetName
from graphrouter.types import FloatArray


@dataclass(frozen=True, slots=True)
class CallPoint:
    """What a router reaches in a preset, means a query."""

    preset: PresetName
    num_calls: float
    effect: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class CallCurve:
    """What a router reaches at each trade-off, from effect alone to cost alone, means a query."""

    router: str
    num_calls: tuple[float, ...]
    effect: tuple[float, ...]
    cost_usd: tuple[float, ...]
    """US dollars of all calls of a query together."""
    presets: tuple[CallPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the name."""
        plain = asdict(self)
        del plain["router"]
        return plain


def trace_calls(runs: Sequence[SeedRun], setting: SettingName) -> tuple[CallCurve, ...]:
    """The evaluated router, which makes one call a query, then all plans and cascades.

    Averaged point by point over the runs. Empty where nobody makes more than one call, nothing has
    a cost, or calls were not counted.

    Args:
        runs: What was compared, one a split.
        setting: Which of their settings.
    """
    outputs = runs[0].outputs[setting]
    evaluated, *others = outputs
    several = [name for name in others if outputs[name].replayed is not None]
    if not several or any(explain_no_costs(each.evaluation_set) is not None for each in runs):
        return ()
    curves = []
    for name in (evaluated, *several):
        calls, effect, cost = np.mean([_sweep(each, setting, name) for each in runs], axis=0)
        if not np.isfinite(calls).all():
            continue
        curves.append(
            CallCurve(
                name,
                tuple(calls.tolist()),
                tuple(effect.tolist()),
                tuple(cost.tolist()),
                tuple(_average_preset(runs, setting, name, preset) for preset in PRESETS),
            )
        )
    return tuple(curves) if len(curves) > 1 else ()


def _sweep(run: SeedRun, setting: SettingName, name: str) -> FloatArray:
    """Mean calls, effect and cost at each trade-off of the grid, (3, num_trade_offs)."""
    evaluation_set, output = run.evaluation_set, run.outputs[setting][name]
    sweep = sweep_output(output, evaluation_set.observed, cost_scale=evaluation_set.cost_scale)
    calls: FloatArray = np.repeat(sweep.counts[:, None], sweep.effect.shape[1], axis=1).astype(
        np.float64
    )
    if output.replayed is not None:
        calls = output.replayed.num_calls[:, : sweep.effect.shape[1]]
    total = [each.sum(axis=0) for each in (calls, sweep.effect, sweep.cost_usd)]
    return np.asarray(np.stack(total) / sweep.counts.sum())


def _average_preset(
    runs: Sequence[SeedRun], setting: SettingName, name: str, preset: PresetName
) -> CallPoint:
    found = []
    for run in runs:
        output = run.outputs[setting][name]
        chosen = choose_by_preset(run.evaluation_set, output, preset)
        calls = count_calls(output, preset, chosen.answered)
        # Where effect alone counts a choice may have no recorded cost.
        cost = chosen.cost_usd[chosen.answered & np.isfinite(chosen.cost_usd)]
        total = (calls.sum() / chosen.answered.sum(), chosen.effect.sum() / chosen.answered.sum())
        found.append([*total, cost.mean()])
    return CallPoint(preset, *np.mean(found, axis=0).tolist())
