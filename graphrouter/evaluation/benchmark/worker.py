"""What a worker process does with a cell: prepare the split once, fit, ask in every setting, keep the result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from graphrouter.config import EncoderConfig, SplitConfig
from graphrouter.data import RoutingDataset, Split, load_dataset, split_dataset
from graphrouter.encoders import create_encoder
from graphrouter.evaluation.benchmark.cells import MAIN, Cell, CellResult
from graphrouter.evaluation.results import SettingName
from graphrouter.evaluation.trial import Trial
from graphrouter.exceptions import NotApplicableError
from graphrouter.nn.threads import cpu_threads
from graphrouter.routers.base import Router
from graphrouter.routers.baselines import BASELINES, LearningData
from graphrouter.routers.baselines.means import BestSingle


@dataclass(frozen=True, eq=False)
class Bench:
    """One split of a dataset, with everything that its routers share."""

    data: RoutingDataset
    split: Split
    learning: LearningData
    """Training and validation rows: all that a router is fitted on."""
    trial: Trial
    """Test rows."""

    @property
    def settings(self) -> tuple[SettingName, ...]:
        """Both settings; one, when no test query has a task."""
        has_task = any(task is not None for task in self.trial.tasks)
        return ("task_known", "task_hidden") if has_task else ("task_hidden",)


def set_up(cell: Cell) -> Bench:
    """The bench of the cell's dataset and seed; the last one is kept, since cells come sorted by it."""
    config = cell.config
    return _set_up(cell.data, cell.fingerprint, config.split.model_dump_json(), config.encoder.model_dump_json(), config.seed)


@lru_cache(maxsize=1)
def _set_up(data: str, fingerprint: str, split_json: str, encoder_json: str, seed: int) -> Bench:
    dataset = _load(data)
    split = split_dataset(dataset, SplitConfig.model_validate_json(split_json))
    encoder = create_encoder(EncoderConfig.model_validate_json(encoder_json))
    learning = LearningData.of_split(dataset, split, encoder, seed=seed)
    trial = Trial.of(
        dataset,
        split.test,
        models=dataset.pool.names,
        best_single=BestSingle.fit(learning),
        cost_scale=learning.cost_scale,
    )
    return Bench(dataset, split, learning, trial)


@lru_cache(maxsize=1)
def _load(data: str) -> RoutingDataset:
    return load_dataset(data)


def run_cell(cell: Cell) -> CellResult:
    """The result of a cell, which is also kept in its file; a router that fails gives a result that says why."""
    try:
        # Errors outside the router are not the router's: they end the benchmark.
        bench = set_up(cell)
        with cpu_threads(1), np.errstate(all="ignore"):
            result = _fit_and_ask(cell, bench)
    except NotApplicableError as error:
        result = CellResult("not_applicable", _one_line(error))
    result.save(cell.file)
    return result


def _fit_and_ask(cell: Cell, bench: Bench) -> CellResult:
    start = time.perf_counter()
    try:
        router = _fit(cell, bench)
        fitted = time.perf_counter()
        contenders = {
            setting: bench.trial.enter(router, task_known=setting == "task_known", name=cell.router) for setting in bench.settings
        }
    except NotApplicableError:
        raise
    except Exception as error:  # whatever breaks in one router must not cost the others their results
        return CellResult("failed", f"{type(error).__name__}: {_one_line(error)}")
    if any(each.replayed is None and not np.isfinite(each.predictions.effect).any() for each in contenders.values()):
        return CellResult("failed", "it predicts no effect of any model on any query")
    return CellResult("done", "", fitted - start, time.perf_counter() - fitted, contenders)


def _fit(cell: Cell, bench: Bench) -> Router:
    if cell.router == MAIN:
        from graphrouter.routers.graph import GraphRouter

        return GraphRouter.fit(bench.data, cell.config, split=bench.split)
    return BASELINES[cell.router].fit(bench.learning)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
