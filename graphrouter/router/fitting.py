"""The parts of a graph router from a dataset: one training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split
from graphrouter.data.columns import PEOPLE, list_columns
from graphrouter.data.positions import find_positions
from graphrouter.data.repeats import merge_repeated_prompts
from graphrouter.data.view_columns import VIEW_KEY, list_view_keys, question_keys
from graphrouter.encoders import TextEncoder
from graphrouter.features.recorded_prices import add_prices
from graphrouter.features.row_files import is_filed
from graphrouter.nn.freed_memory import keep_freed_memory, release_freed_memory
from graphrouter.nn.layers import cpu_threads
from graphrouter.router.learned import Learned
from graphrouter.router.parts import Support
from graphrouter.router.provenance import DEVIATION_SHARE, Provenance
from graphrouter.router.training_view import TrainingView
from graphrouter.scoring.effects import EffectInterval
from graphrouter.scoring.operations import to_numpy
from graphrouter.training.calibration import fit_calibration
from graphrouter.training.effect_intervals import NOVELTY, fit_effect_interval
from graphrouter.training.episodes import draw_queries
from graphrouter.training.prepare import TrainingTables, prepare, select_training_tasks
from graphrouter.training.start import build_network

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback


@cpu_threads(1)
def fit_parts(
    view: TrainingView,
    *,
    work_dir: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Learned, Support, Provenance, TextEncoder]:
    """What a router is made of, trained on the training queries of the view.

    Args:
        view: Data, split, settings and text encoder.
        work_dir: As in `GraphRouter.fit`.
        callbacks: As in `GraphRouter.fit`.

    Raises:
        DataError: A side of the split has too few queries, or no outcomes.
    """
    keep_freed_memory()
    release_freed_memory()  # of reading and dividing a long log
    data, config, division = view.data, view.config, view.split
    tables = view.derive(training_tables)
    release_freed_memory()
    is_trained = config.training.max_epochs > 0
    if is_trained:
        # Here: it loads Lightning and PyTorch Geometric, which start values do not need.
        from graphrouter.training.trainer import fit_network

        folder = None if work_dir is None else Path(work_dir)
        fitted = fit_network(
            tables, config, work_dir=folder, progress=view.progress, callbacks=callbacks
        )
        net, metrics = fitted.net, fitted.metrics
        release_freed_memory(cycles=is_filed(len(data.queries)))
    else:
        net, metrics = build_network(tables, config).eval(), {"best_epoch": 0.0}
    (calibration, gained, share), amounts = fit_calibration(net, tables, config)
    release_freed_memory()
    net.scale_deviations(share)
    metrics = metrics | gained | {DEVIATION_SHARE: share}
    # Models and tasks are left out one after the other: longer than all the rest of a start.
    interval = EffectInterval(novelty=NOVELTY, few_tasks=True)
    if is_trained:
        interval = fit_effect_interval(net, tables, config, calibration=calibration)
    weights = {name: to_numpy(part).copy() for name, part in net.float().state_dict().items()}
    learned = Learned(weights, net.sizes, tables.transforms, config, calibration, interval, amounts)
    provenance = Provenance(
        data.name, data.fingerprint, division, _list_seen(data, division), metrics
    )
    release_freed_memory(cycles=is_filed(len(data.queries)))
    return learned, _training_support(data, division, tables, config), provenance, view.encoder


def _list_seen(data: RoutingDataset, split: Split) -> frozenset[str]:
    """Keys of the prompts that were trained and validated on."""
    asked = data.queries.set_index("query_id").loc[[*split.train, *split.validation]]
    return frozenset(question_keys(asked))


def training_tables(view: TrainingView) -> TrainingTables:
    """The rows of the view as tensors; see `TrainingView.derive`."""
    return prepare(view.data, view.split, view.encoder, progress=view.progress)


def _training_support(
    data: RoutingDataset, split: Split, tables: TrainingTables, config: TrainConfig
) -> Support:
    """The training queries, as many as are asked for, and what the models did on them."""
    every = tables.train_queries
    kept = draw_queries(every, config.graph.max_support_queries or len(every), config.seed).numpy()
    ids = [split.train[row] for row in kept.tolist()]
    # Texts of answers and numbers of the user's own are not read: no artifact carries them along.
    read = [name for name in list_columns("outcomes") if name != "answer"]
    outcomes = data.outcomes[[name for name in data.outcomes.columns if name in read]]
    model = find_positions(outcomes["model"], tables.pool.names)
    is_theirs = (find_positions(outcomes["query_id"], ids) >= 0) & (model >= 0)
    theirs = outcomes[is_theirs].reset_index(drop=True)
    asked = data.queries.set_index("query_id").loc[ids]
    named = [name for name in ("task", "prompt", *PEOPLE) if name in asked.columns]
    queries = asked[named].reset_index()
    if any(view_keys := list_view_keys(asked)):
        queries[VIEW_KEY] = view_keys
    # All of them are a part of what is there; some are copied, and the rest can be let go.
    raw = tables.raw.take_queries(slice(len(ids)) if len(ids) == len(every) else kept)
    priced = add_prices(theirs, tables.pool, model[is_theirs])
    if "num_runs" not in priced.columns:
        priced["num_runs"] = 1.0
    if queries["prompt"].str.strip().duplicated().any():
        stays, priced = merge_repeated_prompts(queries, priced)
        queries, raw = queries[stays].reset_index(drop=True), raw.take_queries(stays)
    return Support(
        pool=tables.pool,
        task_table=select_training_tasks(data, split),
        query_table=queries,
        outcome_table=priced,
        raw=raw,
    )
