"""Tables of differences: what each variant has more or less than `graphrouter`, with 95 % paired
intervals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from graphrouter.bench.evaluation.benchmark import MAIN
from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.results import Evaluation, SettingName

SHOWN = ("log_loss", "area_log", "reward_performance_first", "reward_balanced", "reward_cost_first")
SETTINGS: dict[SettingName, str] = {"task_known": "task known", "task_hidden": "task hidden"}


def difference(found: Evaluation, setting: SettingName, variant: str, metric: str) -> Interval:
    """The variant's figure minus that of `graphrouter`; undefined where one of them has none."""
    result = found.settings.get(setting)
    paired = (
        result.paired.get(variant, {}).get(metric, UNDEFINED) if result is not None else UNDEFINED
    )
    return Interval(-paired.value, -paired.high, -paired.low)


def show(interval: Interval) -> str:
    """A difference with its interval, and a star where that excludes zero.

    A dash where it is undefined.

    Example:
        >>> show(Interval(0.0031, 0.0012, 0.0049)), show(UNDEFINED)
        ('+0.0031 [+0.0012, +0.0049] *', '-')
    """
    if not np.isfinite(interval.value):
        return "-"
    value, low, high = (
        f"{round(each, 4) + 0.0:+.4f}" for each in interval
    )  # + 0.0: no minus before a zero
    ends = f" [{low}, {high}]" if np.isfinite([interval.low, interval.high]).all() else ""
    return f"{value}{ends}{' *' if interval.excludes_zero else ''}"


def head(*titles: str) -> Iterator[str]:
    """The first two lines of a table."""
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"


def title_of(metric: str) -> str:
    """Name of the metric with an arrow that says which way is better."""
    return f"{METRICS[metric].title} {'↓' if METRICS[metric].lower_is_better else '↑'}"


def dataset_tables(
    found: Evaluation, *, heading: str, metrics: Sequence[str] = SHOWN
) -> Iterator[str]:
    """The lines of one dataset, a table a setting.

    Args:
        found: Its evaluation.
        heading: Of each table, with `{what}` for the dataset and the setting.
        metrics: Columns.
    """
    for setting, title in SETTINGS.items():
        if setting in found.settings:
            yield heading.format(what=f"{found.dataset}, {title}")
            yield from setting_table(found, setting, metrics)


def setting_table(
    found: Evaluation, setting: SettingName, metrics: Sequence[str] = SHOWN
) -> Iterator[str]:
    """The lines of one dataset and setting: figures of `graphrouter`, then the differences of
    everybody else."""
    routers = found.settings[setting].routers
    known = [metric for metric in metrics if np.isfinite(routers[MAIN][metric].value)]
    yield from head("variant", *(title_of(metric) for metric in known))
    yield f"| {MAIN} | {' | '.join(f'{routers[MAIN][metric].value:.4f}' for metric in known)} |"
    for variant in routers:
        if variant != MAIN:
            cells = [show(difference(found, setting, variant, metric)) for metric in known]
            yield f"| {variant} | {' | '.join(cells)} |"


def summary_table(
    evaluations: Sequence[Evaluation], metrics: Sequence[str] = SHOWN
) -> Iterator[str]:
    """One line a variant: mean difference over datasets and settings, and in how many of them it is
    surely better or worse."""
    variants = dict.fromkeys(
        name for found in evaluations for each in found.settings.values() for name in each.paired
    )
    yield from head(
        "variant", *(f"{title_of(metric)}: mean, surely better / worse" for metric in metrics)
    )
    for variant in variants:
        yield (
            f"| {variant} | "
            f"{' | '.join(summarise(evaluations, variant, metric) for metric in metrics)} |"
        )


def summarise(
    evaluations: Sequence[Evaluation],
    variant: str,
    metric: str,
    settings: Collection[SettingName] = tuple(SETTINGS),
) -> str:
    """Mean difference over datasets and settings, and in how many of them it is surely better or
    worse."""
    found = [
        difference(each, setting, variant, metric)
        for each in evaluations
        for setting in each.settings
        if setting in settings
    ]
    known = [each for each in found if np.isfinite(each.value)]
    if not known:
        return "-"
    lower_is_better = METRICS[metric].lower_is_better
    better = sum((each.high < 0) if lower_is_better else (each.low > 0) for each in known)
    worse = sum((each.low > 0) if lower_is_better else (each.high < 0) for each in known)
    return f"{np.mean([each.value for each in known]):+.4f}, {better} / {worse} of {len(known)}"
