"""The published GraphRouter, as its code has it: what ours claims to improve on, measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions, find_positions
from graphrouter.bench.baselines.methods.paper_graph import (
    CostBounds,
    GraphMaker,
    PaperGraph,
    describe_models,
    edge_attributes,
    mean_costs,
)
from graphrouter.bench.baselines.methods.paper_nets import (
    WIDTH,
    ModelSide,
    PaperNets,
    edge_logits,
    edge_loss,
)
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.rising_curve import EffectCurve
from graphrouter.exceptions import NotApplicableError, TrainingError
from graphrouter.nn.layers import cpu_threads
from graphrouter.policy import PRESETS, PresetName
from graphrouter.types import BoolArray, FloatArray, IntArray, Queries

LEARNING_RATE, WEIGHT_DECAY = 3e-4, 1e-4
NUM_STEPS = 1000
NUM_MASKS = 32
"""Random masks that a step averages over, as in the original, as long as they fit in
`EDGES_PER_STEP`."""
EDGES_PER_STEP = 100_000
"""Edges of all masks of a step together. It keeps a training on 120,000 outcomes within a quarter
of a minute on one core; a mask of a large graph is an average over many edges already."""
VISIBLE_SHARE = 0.5
STEPS_PER_CHECK = 10
"""Steps between two looks at the validation rows; the original looks after each."""


@dataclass(frozen=True, eq=False)
class JoiningRule:
    """What makes the state of a model that joins the trained graph."""

    costs: CostBounds
    """Of the training rows: costs of newcomers are scaled by them."""
    weights: dict[str, FloatArray]
    """Parameters and running statistics of `ModelSide`, in double precision, by name."""

    @classmethod
    def of(cls, costs: CostBounds, side: ModelSide) -> Self:
        """The rule of a trained network."""
        return cls(costs, {name: value.numpy() for name, value in side.state_dict().items()})

    def states(
        self, inputs: FloatArray, descriptions: FloatArray, new: NewModels, task: IntArray
    ) -> FloatArray:
        """Final states of new models, (num_presets, num_new, 16).

        They are those of the whole graph with the newcomers' nodes and edges in it.

        Args:
            inputs: (num_presets, num_queries, 16) input states of the newcomers' queries.
            descriptions: (num_new, dimension) embeddings of their descriptions.
            new: The new models.
            task: (num_queries,) number of each query's task, -1 = unknown.
        """
        with torch.device("meta"):  # nothing is drawn: every value is put in its place below
            side = ModelSide(len(inputs), descriptions.shape[1])
        stored = {name: torch.from_numpy(value) for name, value in self.weights.items()}
        side.load_state_dict(stored, assign=True)
        scaled = self.costs.scale(new.outcomes.cost_usd, task)
        mean_cost = mean_costs(scaled, self.costs.pool)
        attributes = edge_attributes(new.outcomes, task, self.costs, mean_cost)
        edges = new.outcomes.mask.T.astype(np.float64)
        parts = (inputs, descriptions, _round(attributes.transpose(0, 1, 3, 2)), edges[None])
        with torch.no_grad(), cpu_threads(1):
            made = side.eval()(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))
        return np.asarray(made[:, 0].numpy())


@dataclass(frozen=True, eq=False)
class PaperGraphRouter(TextBaseline):
    """Query nodes (task and prompt) and model nodes (description).

    Two layers of messages along observed outcomes.

    Trained once for each of the three presets to tell the best model of a query by utility (one-hot
    labels, ties to the first in pool order) from the others. Kept as in the published code: layers,
    sum aggregation, batch norm, loss, masks, optimiser, the checkpoint that it saves (best macro F1
    on validation queries), validation edges visible afterwards. So are its traps: where most
    effects are 0 or 1 most labels are ties, and the first models of the pool win them. Different:

    - texts go through the encoder that all routers share, in place of MiniLM; a task or a model
      without description is embedded by its name; an unknown task is a zero vector;
    - costs are the recorded ones, in place of 512 output tokens a call, min-max a task over the
      training rows and not over all rows; a missing cost is the model's mean; without any cost,
      effect alone makes the labels;
    - test queries are no nodes of the graph that is trained on, and their batch norm sees none of
    them;
    - fewer masks a step on large graphs (`EDGES_PER_STEP`), fewer looks at the validation rows
    (`STEPS_PER_CHECK`).

    A model joins as a node with its description and, for each of its outcomes, an edge, as in the
    few-shot setting of the paper. Messages go from queries to models alone and the batch norm
    stands still after training, so what `add_models` gives is what the trained network says of the
    whole graph with the newcomer in it, and the other models keep theirs. Messages are summed: with
    few outcomes the state of a newcomer is unlike any that was trained.

    A net knows a single trade-off. The expected effect is the calibrated score of the
    performance-first net, costs are those of `Amounts`, so that any policy can be asked.
    `preset_utilities` gives what the published router chooses by; rewards are measured on that.
    """

    name: ClassVar[str] = "graphrouter_paper"
    source: ClassVar[str] = (
        "GraphRouter (Feng, Shen, You; arXiv 2410.03834, ICLR 2025), as its published code has it"
    )
    can_extend: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True
    share_ties: ClassVar[bool] = False

    tasks: tuple[str, ...]
    """Tasks seen in training."""
    task_states: FloatArray
    """(num_presets, num_tasks + 1, 8) task's part of a query node; the last row stands for "task
    unknown"."""
    query_weights: FloatArray
    """(num_presets, dimension, 8) from the prompt's embedding to its part of a query node."""
    query_bias: FloatArray
    """(num_presets, 1, 8)."""
    model_states: FloatArray
    """(num_presets, num_models, 16) final states, all training and validation edges visible."""
    curve: EffectCurve
    """From the performance-first net's logit to effect."""
    joining: JoiningRule | None = None
    """None in an artifact of an earlier release, which takes in no model."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the three trainings make; deterministic given the seed of `data`.

        Raises:
            TrainingError: The loss is no longer finite.
        """
        maker = GraphMaker.of(data, share_ties=cls.share_ties)
        train, held = maker.graph(data.train, data.questions), None
        if data.validation is not None and data.held_questions is not None:
            held = maker.graph(data.validation, data.held_questions)
        nets = train_nets(
            train, held, seed=data.seed
        ).double()  # what is served is computed in double precision
        seen = (train if held is None else train.join(held)).double()
        with torch.no_grad(), cpu_threads(1):
            states = nets(seen, seen.edge[None])[1][:, 0].numpy()
            task_states = nets.task(seen.task).numpy()
        router = cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            maker.tasks,
            task_states,
            nets.query.weight.detach().numpy(),
            nets.query.bias.detach().numpy(),
            states,
            EffectCurve(0.0, 0.0),
            JoiningRule.of(maker.costs, nets.models),
        )
        curve = EffectCurve.fit(
            *data.score_held_rows(
                lambda questions: router.preset_scores(questions)["performance_first"]
            )
        )
        return replace(router, curve=curve)

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """Tasks seen in training; None where there were too few to tell apart."""
        return self.tasks or None

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Calibrated score of the performance-first net, (num_queries, num_models) in (0, 1)."""
        return self.curve.apply(self.preset_scores(questions)["performance_first"])

    def preset_utilities(self, queries: Queries) -> Mapping[PresetName, FloatArray] | None:
        """Logit of each preset's net, (num_queries, num_models).

        The published router chooses by it.
        """
        return self.preset_scores(Questions.of(queries, self.encoder))

    def preset_scores(self, questions: Questions) -> dict[PresetName, FloatArray]:
        """Logit of each preset's net, (num_queries, num_models).

        The published router takes the largest.

        The logit is linear in the query, and the states of models do not depend on it.
        """
        inputs = self._query_states(questions)
        logits = np.matmul(inputs, self.model_states.transpose(0, 2, 1)) / WIDTH
        return dict(zip(PRESETS, logits, strict=True))

    def _query_states(self, questions: Questions) -> FloatArray:
        """Input states of query nodes, (num_presets, num_queries, 16): of task, then of query."""
        rows = find_positions(self.tasks, questions.tasks)  # -1, the last row, is "task unknown"
        own = np.matmul(questions.vectors, self.query_weights) + self.query_bias
        return np.concatenate([self.task_states[:, rows], own], axis=2)

    def _extend(self, new: NewModels) -> Self:
        """The newcomers' nodes get their descriptions and edges; the networks stay.

        What goes into the graph is rounded to single precision, as it is in fitting.
        """
        if self.joining is None:
            raise NotApplicableError(
                f"This {self.name} comes from an artifact of an earlier release, which lacks what "
                "makes the state of a new model: fit it again."
            )
        questions = Questions.of(new.queries, self.encoder)
        states = self.joining.states(
            self._query_states(replace(questions, vectors=_round(questions.vectors))),
            _round(describe_models(self.encoder, new.pool.cards[-new.num_new :])),
            new,
            find_positions(self.tasks, questions.tasks),
        )
        return replace(
            self._join_pool(new, questions),
            model_states=np.concatenate([self.model_states, states], axis=1),
        )


class PaperGraphRouterTies(PaperGraphRouter):
    """The published GraphRouter with one trap mended: all models that tie are labelled.

    LLMRouterBench compares GraphRouter in this form. With effects of 0 and 1 most queries have many
    best models, and the published labels are then the first of them in the pool; all else is as in
    `PaperGraphRouter`.
    """

    name: ClassVar[str] = "graphrouter_paper_ties"
    source: ClassVar[str] = (
        "GraphRouter (arXiv 2410.03834) as patched by LLMRouterBench (arXiv 2601.07206)"
    )
    share_ties: ClassVar[bool] = True


def _round(values: FloatArray) -> FloatArray:
    """The values in single precision, as double ones again."""
    return values.astype(np.float32).astype(np.float64)


def train_nets(train: PaperGraph, held: PaperGraph | None, *, seed: int) -> PaperNets:
    """Nets in evaluation mode, one a preset.

    Each is as it was when its choices for the validation queries had the best macro F1.

    Raises:
        TrainingError: The loss is no longer finite.
    """
    num_masks = max(1, min(NUM_MASKS, EDGES_PER_STEP // max(1, int(train.edge.sum()))))
    with torch.random.fork_rng(devices=[]), cpu_threads(1):
        torch.manual_seed(seed)
        nets = PaperNets(len(PRESETS), train.query.shape[1])
        optimizer = torch.optim.AdamW(
            nets.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        best = np.full(len(PRESETS), -1.0)
        kept = {name: value.clone() for name, value in nets.state_dict().items()}
        for step in range(1, NUM_STEPS + 1):
            nets.train()
            visible = (torch.rand(num_masks, *train.edge.shape) < VISIBLE_SHARE) * train.edge
            loss = edge_loss(edge_logits(*nets(train, visible)), train.label, train.edge - visible)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"graphrouter_paper: the loss became {loss.item()} in step {step}."
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            nets.eval()
            if held is not None and step % STEPS_PER_CHECK == 0:
                reached = _macro_f1(nets, train, held)
                for preset in np.flatnonzero(reached > best):
                    best[preset] = reached[preset]
                    for name, value in nets.state_dict().items():
                        kept[name][preset] = value[preset]
        if held is not None and NUM_STEPS >= STEPS_PER_CHECK:
            nets.load_state_dict(kept)
    return nets


def _macro_f1(nets: PaperNets, train: PaperGraph, held: PaperGraph) -> FloatArray:
    """Macro F1 of each preset's choices for the validation queries, (num_presets,).

    They choose among the observed models.
    """
    with torch.no_grad():
        states = nets(train, train.edge[None])[1]
        logits = edge_logits(nets.query_states(held), states)[:, 0]
        chosen = torch.where(held.edge > 0, logits, -torch.inf).argmax(1).numpy()
    rows: BoolArray = held.edge.sum(0).numpy() > 0
    right = held.label.gather(1, torch.from_numpy(chosen)[:, None])[:, 0].numpy() > 0
    truth = np.where(
        right, chosen, held.label.argmax(1).numpy()
    )  # of several right ones, the one that was chosen
    return np.array(
        [_f1_of(chosen[i][rows], truth[i][rows], len(held.edge)) for i in range(len(truth))]
    )


def _f1_of(chosen: IntArray, truth: IntArray, num_models: int) -> float:
    """Mean F1 over the models that were chosen or should have been."""
    hits = np.bincount(truth[chosen == truth], minlength=num_models)
    named = np.bincount(chosen, minlength=num_models) + np.bincount(truth, minlength=num_models)
    return float(np.mean(2 * hits[named > 0] / named[named > 0])) if len(truth) else 0.0
