"""A router from start values that were learned on other sets, and the cells that it makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from experiments.meta_training.learning import StartValues
from experiments.quality.variants import VariantCell
from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation.benchmark import CellResult, fit_and_ask
from graphrouter.bench.evaluation.grid import PreparedSplit
from graphrouter.files import write_json
from graphrouter.router.fitting import fit_parts, training_tables
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.router.training_view import TrainingView
from graphrouter.training.calibration import fit_calibration
from graphrouter.training.start import build_network


@dataclass(frozen=True)
class StartCell(VariantCell):
    """The graph router from some start values, or a baseline, on one split."""

    start: Path | None
    """File of the start values; None = those of the package."""

    @property
    def circumstances(self) -> Sequence[object]:
        """The start values that are not those of the package."""
        if self.start is None:
            return ()
        return (hashlib.sha256(self.start.read_bytes()).hexdigest(),)


def run_start(cell: StartCell) -> CellResult:
    """The result of a cell, which is also kept in its file."""
    return fit_and_ask(cell, partial(_fit, cell))


def _fit(cell: StartCell, prepared: PreparedSplit) -> Router:
    if cell.start is None:
        return BASELINES.get(cell.router, GraphRouter).fit(prepared.view, cell.config)
    return fit_from(read_start(cell.start), TrainingView.of(prepared.view, cell.config))


def fit_from(start: StartValues, view: TrainingView) -> GraphRouter:
    """A router that predicts from the start values and was not trained."""
    instant = TrainingView.of(view, view.config.without_training())
    learned, *others = fit_parts(instant)
    tables = instant.derive(training_tables)
    net = build_network(tables, instant.config).eval()
    start.put_into(net)
    (calibration, _, share), amounts = fit_calibration(net, tables, instant.config)
    net.scale_deviations(share)
    weights = {name: part.numpy().copy() for name, part in net.state_dict().items()}
    changed = replace(learned, weights=weights, calibration=calibration, amounts=amounts)
    return GraphRouter(changed, *others)


@lru_cache(maxsize=1)
def read_start(file: Path) -> StartValues:
    """The start values in a file."""
    plain = json.loads(file.read_text(encoding="utf-8"))
    parameters = {name: torch.tensor(each) for name, each in plain["parameters"].items()}
    return StartValues(parameters, tuple(plain["losses"]), plain["best_check"])


def write_start(start: StartValues, file: Path) -> None:
    """Write the start values to a file."""
    plain = {
        "parameters": {name: each.tolist() for name, each in start.parameters.items()},
        "losses": list(start.losses),
        "best_check": start.best_check,
    }
    write_json(plain, file)
