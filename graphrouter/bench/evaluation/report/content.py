"""What a report shows, as plain values: computed here, laid out by `html` and `markdown`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphrouter import __version__
from graphrouter.bench.evaluation.additions import (
    Addition,
    find_additions,
    say_nothing_is_left,
    say_what_is_left,
)
from graphrouter.bench.evaluation.budget_curves import BudgetCurve
from graphrouter.bench.evaluation.call_curves import CallCurve, trace_calls
from graphrouter.bench.evaluation.conclusion import Conclusion, conclude, list_rivals
from graphrouter.bench.evaluation.evaluate import BEST_SINGLE, SeedRun
from graphrouter.bench.evaluation.measures import Unmeasured, explain_no_costs
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.on_request import OnRequest
from graphrouter.bench.evaluation.promise_trials import PromiseTrial
from graphrouter.bench.evaluation.report.breakdown import PresetBreakdown, break_down
from graphrouter.bench.evaluation.report.curves import (
    Frontiers,
    ReliabilityCurve,
    explain_no_frontier,
    trace_frontiers,
    trace_reliability,
)
from graphrouter.bench.evaluation.report.lost_queries import (
    Example,
    GroupLoss,
    find_examples,
    find_losses,
)
from graphrouter.bench.evaluation.report.preset_choices import collect_choices
from graphrouter.bench.evaluation.results import Evaluation, SettingName, SettingResult
from graphrouter.bench.evaluation.router_output import ORACLE
from graphrouter.bench.evaluation.table import Table, build_table, explain_gaps
from graphrouter.exceptions import DataError
from graphrouter.policy import PresetName

HEADLINE = (
    "log_loss",
    "area_log",
    "reward_performance_first",
    "reward_balanced",
    "perf_gain",
    "cost_save",
)
"""Metrics of the first table; all others stand in the second."""
ALWAYS_SHOWN = (BEST_SINGLE, "task_mean", "knn")
"""Baselines whose curves are visible from the start."""


@dataclass(frozen=True, slots=True)
class Section:
    """One dataset in one setting."""

    setting: SettingName
    conclusion: Conclusion
    sees_outcomes: tuple[str, ...]
    """Routers that look at outcomes: the oracle and the cascades. They are marked and never
    recommended."""
    shown_first: tuple[str, ...]
    """Routers whose curves are visible from the start; the evaluated one first."""
    frontiers: Frontiers | None
    why_no_frontier: str | None
    calls: tuple[CallCurve, ...]
    """The evaluated router, then all plans and cascades; empty where nobody calls several
    models."""
    budgets: BudgetCurve | Unmeasured | None
    """Of the evaluated router; None where nobody asked for it."""
    promises: tuple[PromiseTrial, ...] | Unmeasured | None
    """Of the evaluated router; None where nobody asked for it."""
    reliability: tuple[ReliabilityCurve, ...]
    headline: Table
    others: Table
    gaps: tuple[str, ...]
    """Why single figures are missing."""
    additions: tuple[Addition, ...]
    """What each baseline that has a figure would add."""
    what_is_left: str
    """The same in a sentence, or why it was not measured."""
    breakdowns: tuple[PresetBreakdown, ...]
    """Of performance_first, and of balanced where there are costs."""
    loss_preset: PresetName
    """The preset of `losses` and `examples`."""
    rivals: tuple[str, ...]
    """Baselines that `losses` compares with."""
    losses: tuple[GroupLoss, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One dataset."""

    dataset: str
    router: str
    """The evaluated one."""
    num_splits: int
    sections: tuple[Section, ...]
    failed: Mapping[str, str]
    """Why a router is not among the results."""
    basis: Mapping[str, str]
    """What everything rests on: the label and the value of each fact."""


def build_report(
    runs: Sequence[SeedRun],
    evaluation: Evaluation,
    *,
    date: str | None = None,
    command: str | None = None,
    on_request: OnRequest | None = None,
) -> Report:
    """What there is to show of one dataset.

    Args:
        runs: What was compared, one a split.
        evaluation: What `score_runs` found in these runs.
        date: When the report is made, in any form; not read from the clock, so that the same input
            gives the same report.
        command: What was run to get it.
        on_request: What else was measured of the evaluated router.

    Raises:
        DataError: The evaluation is of other runs.
    """
    settings, seeds = (
        tuple(runs[0].outputs) if runs else (),
        tuple(each.seed for each in runs),
    )
    if settings != tuple(evaluation.settings) or seeds != evaluation.seeds:
        raise DataError(
            f"The evaluation has the settings {list(evaluation.settings)} and the seeds "
            f"{list(evaluation.seeds)}, the runs "
            f"have {list(settings)} and {list(seeds)}; expected the evaluation that `score_runs` "
            "makes of these runs."
        )
    return Report(
        dataset=evaluation.dataset,
        router=evaluation.router,
        num_splits=len(runs),
        sections=tuple(
            _section(runs, evaluation, setting, on_request or OnRequest()) for setting in settings
        ),
        failed=dict(evaluation.failed),
        basis=_basis(runs, evaluation, date=date, command=command),
    )


def _section(
    runs: Sequence[SeedRun], evaluation: Evaluation, setting: SettingName, on_request: OnRequest
) -> Section:
    result, outputs, router = (
        evaluation.settings[setting],
        runs[0].outputs[setting],
        evaluation.router,
    )
    cascades = [name for name, output in outputs.items() if output.replayed is not None]
    conclusion = conclude(evaluation, setting=setting, sees_outcomes=cascades)
    presets: tuple[PresetName, ...] = ("performance_first", "balanced")
    if any(explain_no_costs(each.evaluation_set) is not None for each in runs):
        presets = presets[:1]
    rivals = _rivals(evaluation, setting, presets[-1], cascades)
    single = [BEST_SINGLE] if BEST_SINGLE in outputs else []
    made = [
        collect_choices(runs, setting, preset, names={router, ORACLE, *single, *rivals})
        for preset in presets
    ]
    others = [name for name in METRICS if name not in HEADLINE]
    baselines = list_rivals(result, cascades)
    additions = find_additions(result, router, baselines)
    return Section(
        setting=setting,
        conclusion=conclusion,
        sees_outcomes=(*cascades, ORACLE),
        shown_first=_shown_first(
            router, (*ALWAYS_SHOWN, conclusion.recommended, *rivals), tuple(outputs)
        ),
        frontiers=trace_frontiers(runs, setting),
        why_no_frontier=explain_no_frontier(runs),
        calls=trace_calls(runs, setting),
        budgets=on_request.budgets.get(setting),
        promises=on_request.promises.get(setting),
        reliability=trace_reliability(runs, setting),
        headline=build_table(evaluation, setting=setting, metrics=HEADLINE),
        others=build_table(evaluation, setting=setting, metrics=others),
        gaps=explain_gaps(result, list(METRICS.values())),
        additions=additions,
        what_is_left=(
            say_what_is_left(router, additions) or say_nothing_is_left(router, additions)
            if additions
            else _explain_no_additions(result, router, baselines)
        ),
        breakdowns=tuple(break_down(each, router=router) for each in made),
        loss_preset=presets[-1],
        rivals=rivals,
        losses=find_losses(made[-1], router=router, rivals=rivals),
        examples=find_examples(runs, setting, presets[-1], router=router),
    )


def _explain_no_additions(result: SettingResult, router: str, baselines: Sequence[str]) -> str:
    """Why nothing is known of what the baselines would add."""
    reasons = [
        result.unmeasured[router].get("deviation_r2"),
        *(result.unmeasured[name].get("added_deviation_r2") for name in baselines),
    ]
    said = next((reason for reason in reasons if reason is not None), "there is no baseline")
    return f"Not measured: {said}."


def _rivals(
    evaluation: Evaluation, setting: SettingName, preset: PresetName, cascades: Sequence[str]
) -> tuple[str, ...]:
    """Best single, and the baseline with the largest reward in the preset."""
    result = evaluation.settings[setting]
    names = [name for name in result.paired if name != ORACLE and name not in cascades]
    reward = {name: result.routers[name][f"reward_{preset}"].value for name in names}
    known = [name for name in names if np.isfinite(reward[name])]
    best = [max(known, key=lambda name: reward[name])] if known else []
    return tuple(dict.fromkeys([*(name for name in names if name == BEST_SINGLE), *best]))


def _shown_first(
    router: str, wanted: Sequence[str | None], present: Sequence[str]
) -> tuple[str, ...]:
    """The router, then those of the wanted names that take part, each once."""
    return tuple(
        dict.fromkeys([router, *(name for name in wanted if name is not None and name in present)])
    )


def _basis(
    runs: Sequence[SeedRun], evaluation: Evaluation, *, date: str | None, command: str | None
) -> dict[str, str]:
    coverage, seeds = evaluation.coverage, [str(seed) for seed in evaluation.seeds]
    a_split = " a split" if len(runs) > 1 else ""
    facts: dict[str, str | None] = {
        "queries": f"{evaluation.num_queries:,}{a_split}",
        "models": f"{evaluation.num_models:,}",
        "routers": f"{len(next(iter(runs[0].outputs.values()))):,}",
        "observed pairs": f"{coverage.num_pairs:,}{a_split}",
        "pairs with cost": f"{coverage.num_costed_pairs:,}{a_split}",
        "seed of the split" if len(seeds) == 1 else "seeds of the splits": ", ".join(seeds),
        "date": date,
        "graphrouter": __version__,
        "command": command,
    }
    return {label: value for label, value in facts.items() if value is not None}
