"""What an evaluation found: figures with intervals, paired differences, and what they rest on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

import numpy as np

from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.notebook import render_table

SettingName = Literal["task_known", "task_hidden"]
Figures = Mapping[str, Mapping[str, Interval]]
"""Interval by router, then by metric."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was observed of the evaluated queries; over several splits, the mean of a split."""

    num_pairs: int
    """Pairs with an observed effect: predictor metrics and the reward of performance_first rest on
    them."""
    num_costed_queries: int
    """Queries with at least one pair whose effect and cost were observed."""
    num_costed_pairs: int
    """Pairs whose effect and cost were observed: the frontier and the other rewards choose among
    them."""
    num_comparable_queries: int
    """Queries with observed effects of at least two models: on the others every router, best
    single and oracle too, can only take the one answer that there is."""


@dataclass(frozen=True, slots=True)
class SettingResult:
    """All figures of one setting."""

    routers: Figures
    """The evaluated router first, then the baselines, then the oracle."""
    paired: Figures
    """Difference of the evaluated router minus each baseline and the oracle, on the same queries
    and pairs."""
    unmeasured: Mapping[str, Mapping[str, str]]
    """Why a figure is undefined, by router and metric."""
    same_as: Mapping[str, str] = field(default_factory=dict)
    """Baselines that say the same of every query as one before them, and that one: they are one
    method on this data."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A router against its baselines on held-out queries, of one split or averaged over several."""

    router: str
    """Name of the evaluated router."""
    dataset: str
    num_queries: int
    """Evaluated queries; over several splits, the mean of a split."""
    num_models: int
    seeds: tuple[int, ...]
    """Seed of each split."""
    coverage: Coverage
    settings: Mapping[SettingName, SettingResult]
    """`task_known`: routers are told the tasks of the queries that have one. `task_hidden`: they
    are not."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why a router is not among the results."""

    def _repr_html_(self) -> str:
        setting, result = next(iter(self.settings.items()))
        shown = [metric for metric in METRICS.values() if metric.is_headline]
        rows = [
            (router, *(figures[metric.name].value for metric in shown))
            for router, figures in result.routers.items()
        ]
        title = f"{self.dataset}: {self.num_queries:,} queries, {setting.replace('_', ' ')}"
        return render_table(title, ("router", *(metric.title for metric in shown)), rows)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; an undefined figure is None."""
        plain: dict[str, Any] = {
            "dataset": self.dataset,
            "num_queries": self.num_queries,
            "num_models": self.num_models,
            "seeds": list(self.seeds),
            "settings": {
                name: {
                    "routers": _plain(result.routers, "value"),
                    "paired": _plain(result.paired, "diff"),
                    **({"same_as": dict(result.same_as)} if result.same_as else {}),
                }
                for name, result in self.settings.items()
            },
        }
        if self.coverage.num_pairs:  # 0 where it was read from a file that did not hold it
            plain["coverage"] = asdict(self.coverage)
        return {**plain, "failed": dict(self.failed)} if self.failed else plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """What `to_json` wrote.

        It holds no reasons. Older files hold no coverage, which is then 0, and lack newer metrics,
        which are then undefined. Choices could be compared in them: they are of complete data.
        """
        unknown = {**dict.fromkeys(_COVERAGE, 0), "num_comparable_queries": plain["num_queries"]}
        settings: dict[SettingName, SettingResult] = {
            name: SettingResult(
                _figures(found["routers"], "value"),
                _figures(found["paired"], "diff"),
                {router: _find_missing(figures) for router, figures in found["routers"].items()},
                dict(found.get("same_as", {})),
            )
            for name, found in plain["settings"].items()
        }
        return cls(
            router=next(iter(next(iter(settings.values())).routers)),
            dataset=plain["dataset"],
            num_queries=plain["num_queries"],
            num_models=plain["num_models"],
            seeds=tuple(plain["seeds"]),
            coverage=Coverage(**plain.get("coverage", unknown)),
            settings=settings,
            failed=dict(plain.get("failed", {})),
        )


_NOT_IN_FILE = "the results were written before it was measured"
_COVERAGE = tuple(each.name for each in fields(Coverage))


def _figures(plain: Mapping[str, Mapping[str, Mapping[str, float | None]]], key: str) -> Figures:
    def number(value: float | None) -> float:
        return float("nan") if value is None else value

    return {
        router: {
            **dict.fromkeys(METRICS, UNDEFINED),
            **{
                metric: Interval(*(number(figure[part]) for part in (key, "low", "high")))
                for metric, figure in by_metric.items()
            },
        }
        for router, by_metric in plain.items()
    }


def _find_missing(figures: Collection[str]) -> dict[str, str]:
    """Why metrics that a file does not hold have no value, by metric."""
    return dict.fromkeys([name for name in METRICS if name not in figures], _NOT_IN_FILE)


def _plain(figures: Figures, key: str) -> dict[str, dict[str, dict[str, float | None]]]:
    return {
        router: {
            metric: {
                key: _number(interval.value),
                "low": _number(interval.low),
                "high": _number(interval.high),
            }
            for metric, interval in by_metric.items()
        }
        for router, by_metric in figures.items()
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
