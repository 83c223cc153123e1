"""What a comparison on newcomers found, and what it says in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from graphrouter.bench.evaluation.benchmark.benchmark_cells import MAIN
from graphrouter.bench.evaluation.bootstrap import UNDEFINED, Interval
from graphrouter.bench.evaluation.newcomers.newcomer_cells import RETRAINED, SUGGESTED, HoldOut
from graphrouter.bench.evaluation.newcomers.shots import ALL, Shots, name_shot, parse_shots

Curves = Mapping[str, Mapping[str, Mapping[str, Interval]]]
"""Interval by router, then by shot, then by metric."""


@dataclass(frozen=True, slots=True)
class NewcomerEvaluation:
    """Routers that meet models, or a task, that nobody trained them on."""

    dataset: str
    seeds: tuple[int, ...]
    hold_out: HoldOut
    held_out: Mapping[int, tuple[str, ...]]
    """Models or tasks, by seed."""
    num_queries: int
    """Mean number of scored test queries of a run: a seed, or a task of a seed."""
    num_models: int
    shots: Shots
    routers: Curves
    """`graphrouter` first, then its two variants, then the baselines."""
    paired: Curves
    """graphrouter minus each other router after as many outcomes, on the same queries and pairs."""
    seconds: Mapping[str, Mapping[str, float]]
    """Mean seconds in which all newcomers of a run joined, by router and shot; of the retrained
    router, those of a training."""
    failed: Mapping[str, str]
    """Why a router is not among the results."""

    def figure(self, router: str, shot: str, metric: str) -> Interval:
        """One figure; undefined where there is none."""
        return self.routers.get(router, {}).get(shot, {}).get(metric, UNDEFINED)

    @property
    def labels(self) -> tuple[str, ...]:
        """The shots as tables call them."""
        return tuple(name_shot(shot) for shot in self.shots)

    @property
    def baselines(self) -> tuple[str, ...]:
        """Everybody who is no graph router."""
        return tuple(name for name in self.routers if name not in (MAIN, SUGGESTED, RETRAINED))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; an undefined figure is None."""
        return {
            "dataset": self.dataset,
            "seeds": list(self.seeds),
            "hold_out": self.hold_out,
            "held_out": {str(seed): list(names) for seed, names in self.held_out.items()},
            "num_queries": self.num_queries,
            "num_models": self.num_models,
            "shots": list(self.labels),
            "routers": _plain(self.routers),
            "paired": _plain(self.paired),
            "seconds": {
                name: {shot: _number(value) for shot, value in by.items()}
                for name, by in self.seconds.items()
            },
            "failed": dict(self.failed),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        return cls(
            dataset=plain["dataset"],
            seeds=tuple(plain["seeds"]),
            hold_out=plain["hold_out"],
            held_out={int(seed): tuple(names) for seed, names in plain["held_out"].items()},
            num_queries=plain["num_queries"],
            num_models=plain["num_models"],
            shots=parse_shots(",".join(plain["shots"])),
            routers=_curves(plain["routers"]),
            paired=_curves(plain["paired"]),
            seconds={
                name: {shot: _float(value) for shot, value in by.items()}
                for name, by in plain["seconds"].items()
            },
            failed=dict(plain["failed"]),
        )


def give_verdict(found: NewcomerEvaluation) -> str:
    """In plain words, whether the graph router knows newcomers better than all baselines.

    And how much it has learned of them.
    """
    sentences = [_against_baselines(found)]
    shares = [(label, found.figure(MAIN, label, "learned_share").value) for label in found.labels]
    known = [
        f"{value:.0%} with {_outcomes(label)}" for label, value in shares if np.isfinite(value)
    ]
    if known:
        sentences.append(f"Of what a new training would teach it has learned {', '.join(known)}.")
    return " ".join(sentences)


def _against_baselines(found: NewcomerEvaluation) -> str:
    whom = "newcomers" if found.hold_out == "models" else "the new task"
    if not found.baselines:
        return "There is no baseline to compare with."
    surely = [
        label
        for label in found.labels
        if all(_surely_lower(found, name, label) for name in found.baselines)
    ]
    others = [label for label in found.labels if label not in surely]
    if not others:
        return (
            f"After every number of outcomes {MAIN} predicts {whom} surely better than all "
            f"{len(found.baselines)} baselines."
        )
    unbeaten = [f"{_outcomes(label)}: {_unbeaten(found, label)}" for label in others]
    start = (
        f"{MAIN} predicts {whom} surely better than all baselines with {_listed(surely)}"
        if surely
        else ""
    )
    if not surely:
        return (
            f"{MAIN} is never surely better than all baselines on {whom}. Not beaten, with "
            f"{'; '.join(unbeaten)}."
        )
    return f"{start}. Not beaten, with {'; '.join(unbeaten)}."


def _surely_lower(found: NewcomerEvaluation, name: str, label: str) -> bool:
    return found.paired.get(name, {}).get(label, {}).get("log_loss", UNDEFINED).high < 0


def _unbeaten(found: NewcomerEvaluation, label: str) -> str:
    return ", ".join(name for name in found.baselines if not _surely_lower(found, name, label))


def _outcomes(label: str) -> str:
    return {ALL: "all outcomes", "0": "no outcome", "1": "1 outcome"}.get(
        label, f"{label} outcomes"
    )


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) + (" outcomes" if labels[-1] != "1" else " outcome")


def _curves(plain: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float | None]]]]) -> Curves:
    return {
        router: {
            shot: {
                metric: Interval(**{key: _float(value) for key, value in figure.items()})
                for metric, figure in figures.items()
            }
            for shot, figures in by_shot.items()
        }
        for router, by_shot in plain.items()
    }


def _float(value: float | None) -> float:
    return float("nan") if value is None else value


def _plain(curves: Curves) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
    return {
        router: {
            shot: {
                metric: {key: _number(value) for key, value in figure._asdict().items()}
                for metric, figure in figures.items()
            }
            for shot, figures in by_shot.items()
        }
        for router, by_shot in curves.items()
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
