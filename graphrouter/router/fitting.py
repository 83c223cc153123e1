"""The parts of a graph router from a dataset: one training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.data.splits import prompt_key
from graphrouter.encoders import TextEncoder, create_encoder
from graphrouter.exceptions import DataError
from graphrouter.features.tables import with_prices
from graphrouter.router.support import Learned, Provenance, Support
from graphrouter.training.calibration import fit_calibration
from graphrouter.training.fit import fit_network
from graphrouter.training.intervals import fit_effect_interval
from graphrouter.training.prepare import TrainingTables, prepare, training_tasks

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback


def fit_parts(
    data: RoutingDataset,
    config: TrainConfig,
    *,
    split: Split | None = None,
    work_dir: str | Path | None = None,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
) -> tuple[Learned, Support, Provenance, TextEncoder]:
    """What a router is made of, trained on the training queries of `data`.

    The arguments are those of `GraphRouter.fit`.

    Raises:
        DataError: `data` is no dataset, or there are too few queries to split.
    """
    if not isinstance(data, RoutingDataset):
        raise DataError(
            f"fit received a {type(data).__name__}; expected a dataset. Load one with "
            "graphrouter.load_dataset(PATH)."
        )
    division = split or split_dataset(data, config.split)
    encoder = create_encoder(config.encoder)
    tables = prepare(data, division, encoder, progress=progress)
    folder = None if work_dir is None else Path(work_dir)
    fitted = fit_network(tables, config, work_dir=folder, progress=progress, callbacks=callbacks)
    calibration, gained = fit_calibration(fitted.net, tables, config)
    learned = Learned(
        net=fitted.net,
        transforms=tables.transforms,
        config=config,
        calibration=calibration,
        interval=fit_effect_interval(fitted.net, tables, config, calibration=calibration),
    )
    prompts = data.queries.set_index("query_id")["prompt"]
    seen = frozenset(
        prompt_key(prompt) for prompt in prompts.loc[[*division.train, *division.validation]]
    )
    provenance = Provenance(data.name, data.fingerprint, division, seen, fitted.metrics | gained)
    return learned, _training_support(data, division, tables), provenance, encoder


def _training_support(data: RoutingDataset, split: Split, tables: TrainingTables) -> Support:
    """The training queries and what the models of the pool did on them."""
    ids = list(split.train)
    # The texts of answers are not read: an artifact must not carry them along.
    outcomes = data.outcomes.drop(columns="answer", errors="ignore")
    theirs = outcomes[
        outcomes["query_id"].isin(ids) & outcomes["model"].isin(tables.pool.names)
    ].reset_index(drop=True)
    return Support(
        pool=tables.pool,
        tasks=training_tasks(data, split),
        queries=data.queries.set_index("query_id").loc[ids, ["task", "prompt"]].reset_index(),
        outcomes=with_prices(theirs, tables.pool),
        raw=tables.raw.head(len(ids)),
    )
