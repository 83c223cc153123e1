"""The graph router: train it, ask it, save it. Immutable; reading it from many threads is safe."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.data.splits import prompt_key
from graphrouter.encoders import TextEncoder, create_encoder
from graphrouter.exceptions import DataError
from graphrouter.graph.builder import build_graph, nearest
from graphrouter.graph.channels import EFFECT
from graphrouter.graph.features import prompt_chars, surface_features
from graphrouter.nn.attention import Neighbourhood
from graphrouter.nn.network import RoutingGNN, Targets
from graphrouter.nn.state import SupportState
from graphrouter.nn.threads import cpu_threads
from graphrouter.policy import CostScale, Policy, decide
from graphrouter.routers.base import Router, check_prompts
from graphrouter.routers.parts import Learned, Provenance, Support
from graphrouter.routers.storage import read_parts, save_parts
from graphrouter.training.prepare import outcome_columns, outcome_edges, positions_of, prepare, training_tasks
from graphrouter.types import Decision, Evidence, FloatArray, IntArray, Predictions

_QUERIES_AT_ONCE = 64
_NUM_EVIDENCE = 5


class _Assessment(NamedTuple):
    """Predictions, and what they rest on. K neighbours a query."""

    predictions: Predictions
    neighbours: IntArray
    """(num_queries, K) positions of similar support queries, most similar first."""
    cosine: FloatArray
    """(num_queries, K) their similarities."""


class GraphRouter(Router):
    """Predicts effect, cost and latency with a graph neural network over tasks, queries and models.

    States of the support are computed once; a query costs one text encoding, one neighbour search and one readout over the pool.
    Predictions run in double precision, so that a score does not depend on the batch it is computed in.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
        >>> router = gr.GraphRouter.fit(data, config)
        >>> router.route("Translate 'good morning' into French.").model in router.models
        True
    """

    def __init__(self, learned: Learned, support: Support, provenance: Provenance, encoder: TextEncoder) -> None:
        """A router of its parts; users call `fit` or `load_router`."""
        self.learned = learned
        self.support = support
        self.provenance = provenance
        self.encoder = encoder
        self.pool = support.pool
        self.cost_scale: CostScale = learned.transforms.cost
        self._net = copy.deepcopy(learned.net).double().eval()
        self._state = _encode(self._net, learned, support)
        self._tasks = {str(task): i for i, task in enumerate(support.tasks["task"])}

    def __repr__(self) -> str:
        return f"GraphRouter({len(self.pool)} models, {len(self.support.queries)} solved queries of {self.provenance.dataset!r})"

    @classmethod
    def fit(
        cls,
        data: RoutingDataset,
        config: TrainConfig | None = None,
        *,
        split: Split | None = None,
        work_dir: str | Path | None = None,
        progress: bool = False,
    ) -> GraphRouter:
        """A router trained on the training queries of `data`; its test queries are not looked at.

        Args:
            data: Outcomes to learn from.
            config: All settings; the defaults without it.
            split: Which queries train, validate and test; drawn by `config.split` without it.
            work_dir: Folder for checkpoints. When a run with the same data and settings was interrupted there, training goes on
                from there. It is yours to delete, after the router is saved.
            progress: Show progress bars.

        Raises:
            DataError: There are too few queries to split.
        """
        from graphrouter.training.fit import fit_network  # Lightning: a second that serving should not pay

        if not isinstance(data, RoutingDataset):
            raise DataError(
                f"fit received a {type(data).__name__}; expected a dataset. Load one with graphrouter.load_dataset(PATH)."
            )
        settings = config or TrainConfig()
        division = split or split_dataset(data, settings.split)
        encoder = create_encoder(settings.encoder)
        tables = prepare(data, division, encoder, progress=progress)
        folder = None if work_dir is None else Path(work_dir)
        fitted = fit_network(tables, settings, work_dir=folder, progress=progress)
        ids = list(division.train)
        # The texts of answers are not read: an artifact must not carry them along.
        outcomes = data.outcomes.drop(columns="answer", errors="ignore")
        support = Support(
            pool=tables.pool,
            tasks=training_tasks(data, division),
            queries=data.queries.set_index("query_id").loc[ids, ["task", "prompt"]].reset_index(),
            outcomes=outcomes[outcomes["query_id"].isin(ids) & outcomes["model"].isin(tables.pool.names)].reset_index(drop=True),
            raw=tables.raw.head(len(ids)),
        )
        learned = Learned(net=fitted.net, transforms=tables.transforms, config=settings)
        prompts = data.queries.set_index("query_id")["prompt"]
        seen = frozenset(prompt_key(prompt) for prompt in prompts.loc[[*division.train, *division.validation]])
        provenance = Provenance(data.name, data.fingerprint, division, seen, fitted.metrics)
        return cls(learned, support, provenance, encoder)

    def predict(self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None) -> Predictions:
        """Expected effect, cost, tokens and latency of every model of the pool on each prompt.

        Args:
            prompts: The queries; an empty text is allowed, a very long one is read at both ends.
            tasks: Task of each query, None where unknown. A task that the router has never seen counts as unknown.
        """
        return self._assess(prompts, tasks).predictions

    def route_batch(
        self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None, policy: Policy | None = None
    ) -> list[Decision]:
        """Where to send each prompt, with the most similar solved queries as evidence."""
        assessed = self._assess(prompts, tasks)
        chosen = policy or Policy()
        return [
            decide(chosen, assessed.predictions, i, self.policy_context, evidence=self._evidence(assessed, i))
            for i in range(len(assessed.predictions))
        ]

    def save(self, folder: str | Path) -> None:
        """Nothing; the router lies in `folder` afterwards, written atomically and without pickle.

        Raises:
            ArtifactError: `folder` is something else than a new or empty folder or an older artifact.
        """
        save_parts(Path(folder), self.learned, self.support, self.provenance, self.encoder)

    @classmethod
    def load(cls, folder: str | Path, *, encoder: TextEncoder | None = None) -> GraphRouter:
        """The graph router that was saved in `folder`.

        Args:
            folder: An artifact.
            encoder: Text encoder to use in place of the one that the settings of the artifact name; it must be the same.

        Raises:
            ArtifactError: There is no artifact, it is damaged, edited or of another format version, or it holds a baseline.
            EncoderError: The text encoder is not the one that the router was trained with.
        """
        learned, support, provenance, text_encoder = read_parts(Path(folder), encoder=encoder)
        return cls(learned, support, provenance, text_encoder)

    @property
    def known_tasks(self) -> tuple[str, ...]:
        """The tasks seen in training."""
        return tuple(self._tasks)

    def _assess(self, prompts: Sequence[str], tasks: Sequence[str | None] | None) -> _Assessment:
        names = check_prompts(prompts, tasks)
        position = torch.tensor([-1 if name is None else self._tasks.get(name, -1) for name in names], dtype=torch.int64)
        texts = list(prompts)
        if not texts:
            nothing = np.zeros((0, 0))
            return _Assessment(Predictions.from_arrays(self.models, np.zeros((0, len(self.pool)))), nothing.astype(int), nothing)
        embeddings, surface = self.encoder.encode(texts), surface_features(texts)
        features = self.learned.transforms.features
        text = torch.from_numpy(features.prompts(embeddings)).double()
        principal = torch.from_numpy(features.principal(embeddings, surface)).double()
        chars = prompt_chars(surface)
        with cpu_threads(1):
            parts = [
                self._assess_some(text[rows], principal[rows], position[rows], chars[rows.numpy()])
                for rows in torch.split(torch.arange(len(texts)), _QUERIES_AT_ONCE)
            ]
        return _Assessment(
            Predictions.concatenate([part.predictions for part in parts]),
            np.concatenate([part.neighbours for part in parts]),
            np.concatenate([part.cosine for part in parts]),
        )

    @torch.inference_mode()
    def _assess_some(self, text: Tensor, principal: Tensor, task: Tensor, chars: FloatArray) -> _Assessment:
        found, cosine = nearest(text, self._state.query_text, self.learned.config.graph.num_neighbours)
        targets = Targets(principal=principal, task=task, neighbours=Neighbourhood(found, cosine))
        scored = self._net.score(self._state, targets)
        location = scored.location.clone()
        location[EFFECT] = torch.sigmoid(location[EFFECT])
        predictions = self.learned.transforms.channels.decode(
            self.models, location.numpy(), scored.log_scale.numpy(), prices=self.pool.prices, num_chars=chars
        )
        return _Assessment(predictions, found.numpy(), cosine.numpy())

    def _evidence(self, assessed: _Assessment, row: int) -> tuple[Evidence, ...]:
        """The most similar queries that any model has answered, most similar first."""
        ids, prompts, tasks, effects = self._solved
        pairs = zip(assessed.neighbours[row].tolist(), assessed.cosine[row].tolist(), strict=True)
        answered = ((j, cosine) for j, cosine in pairs if ids[j] in effects)
        return tuple(
            Evidence(ids[j], prompts[j], tasks[j], cosine, effects[ids[j]]) for j, cosine in islice(answered, _NUM_EVIDENCE)
        )

    @cached_property
    def _solved(self) -> tuple[list[str], list[str], list[str | None], dict[str, dict[str, float]]]:
        """Ids, prompts and tasks of the support queries, and the observed effects by query and model."""
        queries = self.support.queries
        effects: dict[str, dict[str, float]] = {}
        columns = (self.support.outcomes[name].tolist() for name in ("query_id", "model", "effect"))
        for query, model, effect in zip(*columns, strict=True):
            effects.setdefault(query, {})[model] = effect
        tasks = [None if pd.isna(task) else str(task) for task in queries["task"]]
        return queries["query_id"].tolist(), queries["prompt"].tolist(), tasks, effects


@torch.inference_mode()
def _encode(net: RoutingGNN, learned: Learned, support: Support) -> SupportState:
    """The cached state of a support, in double precision."""
    position = positions_of(support.outcomes["query_id"], support.queries["query_id"].tolist())
    model = positions_of(support.outcomes["model"], support.pool.names)
    edges = outcome_edges(position, model, outcome_columns(support.outcomes, support.pool), learned.transforms)
    graph = build_graph(
        support.raw.to_nodes(learned.transforms.features),
        support=edges,
        support_queries=torch.arange(len(support.queries)),
        target_queries=torch.empty(0, dtype=torch.int64),
        target_tasks=torch.empty(0, dtype=torch.int64),
        num_neighbours=learned.config.graph.num_neighbours,
    )
    return net.encode_support(graph.apply(lambda x: x.double() if x.dtype == torch.float32 else x))
