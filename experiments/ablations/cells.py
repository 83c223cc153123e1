"""A variant on one split: other settings, something taken out of the data, or fewer queries to
learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from experiments.ablations.changes import CHANGES
from experiments.quality.variants import VariantCell
from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation.benchmark import CellResult, fit_and_ask
from graphrouter.bench.evaluation.grid import PreparedSplit
from graphrouter.bench.evaluation.newcomers.shots import shuffle
from graphrouter.data import Split
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView


@dataclass(frozen=True)
class AblationCell(VariantCell):
    """A variant, or a baseline, on one split; the test rows are those of the benchmark."""

    change: str | None
    """Name of what is taken out of the data that the router is fitted on; None = nothing."""
    num_queries: int | None
    """Training and validation queries together; None = all of them."""

    @property
    def circumstances(self) -> Sequence[object]:
        """What is taken away; empty where nothing is, so that such a cell is the same as one of the
        benchmark."""
        return (
            ()
            if self.change is None and self.num_queries is None
            else (self.change, self.num_queries)
        )


def run_ablation(cell: AblationCell) -> CellResult:
    """The result of a cell, which is also kept in its file."""
    return fit_and_ask(cell, partial(_fit, cell))


def smaller_split(split: Split, num_queries: int | None, *, seed: int) -> Split:
    """The split with so many training and validation queries together, in its own proportion.

    The test rows stay.

    A smaller number gives a subset of a larger one. All are kept where there are no more than that.

    Args:
        split: The full split.
        num_queries: How many to keep; None keeps all.
        seed: Of the order in which queries come in.
    """
    num_all = len(split.train) + len(split.validation)
    if num_queries is None or num_queries >= num_all:
        return split
    num_validation = max(1, round(num_queries * len(split.validation) / num_all))
    kept = (
        tuple(sorted(shuffle(side, seed=seed, whose=name)[:count]))
        for name, side, count in (
            ("train", split.train, num_queries - num_validation),
            ("validation", split.validation, num_validation),
        )
    )
    train, validation = kept
    return replace(split, train=train, validation=validation)


def _fit(cell: AblationCell, prepared: PreparedSplit) -> Router:
    split = smaller_split(prepared.split, cell.num_queries, seed=cell.seed)
    view = _view(prepared, split, cell.change)
    return BASELINES.get(cell.router, GraphRouter).fit(view, cell.config)


@lru_cache(maxsize=1)
def _view(prepared: PreparedSplit, split: Split, change: str | None) -> TrainingView:
    """What the routers of one split share: they stand side by side, so the last one is enough."""
    if change is None and split == prepared.split:
        return prepared.view
    data = prepared.data if change is None else CHANGES[change](prepared.data)
    return TrainingView.of(data, prepared.view.config, split=split, encoder=prepared.view.encoder)
