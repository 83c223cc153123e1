"""One split of one dataset with what its cells share, prepared once a process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from graphrouter.bench.baselines.methods.means import BestSingle
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.grid.grid_cell import GridCell
from graphrouter.bench.evaluation.results import SettingName
from graphrouter.config import EncoderConfig, SplitConfig, TrainConfig
from graphrouter.data import RoutingDataset, Split, load_dataset
from graphrouter.router.training_view import TrainingView


@dataclass(frozen=True, eq=False)
class PreparedSplit:
    """One split of a dataset, with everything that its routers share."""

    view: TrainingView
    """Training and validation rows: all that a router is fitted on."""
    evaluation_set: EvaluationSet
    """Test rows."""

    @property
    def data(self) -> RoutingDataset:
        """The dataset, whole."""
        return self.view.data

    @property
    def split(self) -> Split:
        """How it is divided."""
        return self.view.split

    @property
    def settings(self) -> tuple[SettingName, ...]:
        """Both settings; one, when no test query has a task."""
        has_task = any(task is not None for task in self.evaluation_set.queries.tasks)
        return ("task_known", "task_hidden") if has_task else ("task_hidden",)

    def build_evaluation_set(self, query_ids: Sequence[str]) -> EvaluationSet:
        """The evaluation set of some of the test queries.

        With the same costs to scale by and the same best single model.
        """
        return _evaluation_set(self.view, query_ids)


def prepare_split(cell: GridCell) -> PreparedSplit:
    """The split of the cell's dataset and seed.

    The last one is kept, so sort cells by dataset and seed.
    """
    config = cell.config
    return _prepare(cell.data, cell.fingerprint, config.split, config.encoder, config.seed)


@lru_cache(maxsize=1)
def _prepare(
    data: str, fingerprint: str, split_config: SplitConfig, encoder_config: EncoderConfig, seed: int
) -> PreparedSplit:
    dataset = _load(data)
    config = TrainConfig(split=split_config, encoder=encoder_config, seed=seed)
    view = TrainingView.of(dataset, config)
    return PreparedSplit(view, _evaluation_set(view, view.split.test))


@lru_cache(maxsize=1)
def _load(data: str) -> RoutingDataset:
    return load_dataset(data)


def _evaluation_set(view: TrainingView, query_ids: Sequence[str]) -> EvaluationSet:
    best_single = BestSingle.fit(view)
    return EvaluationSet.of(
        view.data,
        query_ids,
        models=view.data.pool.names,
        best_single=best_single,
        cost_scale=best_single.cost_scale,
        level_ids=(*view.split.train, *view.split.validation),
    )
