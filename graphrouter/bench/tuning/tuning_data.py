"""What all trials of a process share: the data as tensors, and what a frontier is measured on."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from graphrouter.bench.baselines.methods.means import BestSingle
from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet, align
from graphrouter.bench.evaluation.measures import explain_no_costs
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.evaluation.routing_measures import measure_frontier
from graphrouter.config import EncoderConfig, TrainConfig
from graphrouter.data import RoutingDataset, Split
from graphrouter.encoders import TextEncoder, create_encoder
from graphrouter.exceptions import NotApplicableError
from graphrouter.graph.hetero_data import from_hetero
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.decoding import AmountCalibration
from graphrouter.scoring.forecaster import Forecaster
from graphrouter.training.amount_calibration import EVEN_TRUST
from graphrouter.training.episodes import validation_graph
from graphrouter.training.prepare import TrainingTables, prepare
from graphrouter.types import Predictions

_KEPT = 2
"""Prepared tables in memory: those of the settings to start from, and of one other text encoder."""
_NO_AREA = "Tune log_loss or reward instead."


class EncodedData(NamedTuple):
    """The data under one text encoder."""

    encoder: TextEncoder
    tables: TrainingTables


class TuningData:
    """Training and validation rows, prepared for whatever text encoder a trial has.

    Test rows are not looked at.
    """

    def __init__(self, dataset: RoutingDataset, split: Split, config: TrainConfig) -> None:
        """Keep the data.

        Args:
            dataset: Outcomes to learn from.
            split: Which queries train and validate.
            config: The settings to start from.
        """
        self.dataset = dataset
        self.split = split
        self.config = config
        self._prepared: OrderedDict[str, EncodedData] = OrderedDict()

    def prepare(self, encoder: EncoderConfig) -> EncodedData:
        """The data under the text encoder; made anew only where it is not one of the last two.

        Raises:
            ConfigError: The settings of the encoder do not go together.
            EncoderError: It cannot be loaded.
            DataError: A side of the split has too few queries, or no outcomes.
        """
        key = encoder.model_dump_json(exclude={"cache_dir"})
        if key not in self._prepared:
            text_encoder = create_encoder(encoder)
            self._prepared[key] = EncodedData(
                text_encoder, prepare(self.dataset, self.split, text_encoder)
            )
        self._prepared.move_to_end(key)
        while len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        return self._prepared[key]

    def measure_area(self, net: RoutingGNN, tables: TrainingTables, config: TrainConfig) -> float:
        """`area_log` of the network's choices on the validation queries.

        Task known and task hidden are averaged.
        """
        areas = [
            measure_area_log(
                self.evaluation_set,
                predict_validation(
                    net, tables, config, self.split, self.evaluation_set, task_known=known
                ),
            )
            for known in (True, False)
        ]
        return float(np.mean(areas))

    def check_area(self) -> None:
        """Check that there is an area to tune.

        Raises:
            NotApplicableError: No costs are recorded, or best single and cheapest model are one.
        """
        reason = explain_no_costs(self.evaluation_set)
        if reason is not None:
            raise NotApplicableError(
                f"The objective area needs recorded costs: {reason} in {self.dataset.name!r}. "
                f"{_NO_AREA}"
            )
        best = self.evaluation_set.best_single
        if best is None or not np.isfinite(measure_area_log(self.evaluation_set, best)):
            raise NotApplicableError(
                "The objective area is not defined on the validation queries of "
                f"{self.dataset.name!r}: it averages over costs from "
                f"the cheapest model to the best single model, and these cost the same. {_NO_AREA}"
            )

    @cached_property
    def evaluation_set(self) -> EvaluationSet:
        """The validation queries; cheapest and best single model are those of the training rows."""
        encoder = self.prepare(self.config.encoder).encoder
        best_single = BestSingle.fit(self.dataset, self.config, split=self.split, encoder=encoder)
        return EvaluationSet.of(
            self.dataset,
            self.split.validation,
            models=[
                name for name in self.dataset.pool.names if name not in self.split.held_out_models
            ],
            best_single=best_single,
            cost_scale=best_single.cost_scale,
            level_ids=self.split.train,
        )


def measure_area_log(evaluation_set: EvaluationSet, predictions: Predictions) -> float:
    """`area_log` of the choices that follow from the predictions, (num_queries, num_models).

    NaN where it is undefined.
    """
    found = measure_frontier(evaluation_set, RouterOutput(predictions))["area_log"]
    if not isinstance(found, Statistic):
        return float("nan")
    return float(found.finish(found.parts.sum(axis=0, keepdims=True))[0])


@torch.inference_mode()
def predict_validation(
    net: RoutingGNN,
    tables: TrainingTables,
    config: TrainConfig,
    split: Split,
    evaluation_set: EvaluationSet,
    *,
    task_known: bool,
) -> Predictions:
    """What a router with this network would expect of the queries, in double precision.

    Before these very queries correct it: what a figure is computed on fits nothing of it.
    """
    graph = from_hetero(validation_graph(tables, config, task_known=task_known)).double()
    amounts, targets = AmountCalibration(token_trust=EVEN_TRUST), graph.targets
    forecaster = Forecaster.in_double(net, tables.transforms.channels, amounts=amounts)
    with cpu_threads(config.training.num_threads):
        state = forecaster.net.encode_support(graph)
        scored = forecaster.net.score_in_parts(state, targets)
    expected = forecaster.read(scored, targets, tables.pool, tables.tokens, tables.tariff)
    row_of = {query: row for row, query in enumerate(split.validation)}
    rows = np.array([row_of[query] for query in evaluation_set.query_ids])
    return align(expected.take(rows=rows), evaluation_set.models, owner="the network")
