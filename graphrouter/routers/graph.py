"""The graph router: train it, ask it, save it. Immutable; reading it from many threads is safe."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
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
from graphrouter.pool import ModelCard, parse_card
from graphrouter.routers import changes
from graphrouter.routers.base import Router, check_prompts
from graphrouter.routers.parts import Change, ChangeName, Learned, Provenance, Support
from graphrouter.routers.probes import suggest_probes
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

    def add_model(self, card: ModelCard, *, outcomes: pd.DataFrame | None = None) -> GraphRouter:
        """A new router whose pool has one more model; nothing is trained, and this router stays as it is.

        Without outcomes the model is placed by its description, price, context and size, and predictions for the others do
        not move. Outcomes, a handful or many, place it by what it did, relative to how hard the prompts were for the others.

        Args:
            card: What is known of the model.
            outcomes: Columns `effect` (0 to 1) and `query_id` of a solved query or `prompt` (and perhaps `task`), perhaps
                `cost_usd`, `input_tokens`, `output_tokens`, `latency_s`; a column `model` may be left out.

        Raises:
            DataError: A model of that name is in the pool, or the outcomes break the contract or are of another model.
        """
        wider = changes.with_model(self.support, card, self.encoder)
        count = 0
        if outcomes is not None:
            count = len(outcomes)
            theirs = sorted(set(outcomes["model"]) - {card.model}) if "model" in outcomes.columns else []
            if theirs:
                raise DataError(f"The outcomes are of {theirs[0]!r} too; expected outcomes of {card.model!r} alone.")
            wider = changes.with_outcomes(wider, outcomes.assign(model=card.model), self.encoder)
        return self._changed(wider, "add_model", card.model, count)

    def add_outcomes(self, outcomes: pd.DataFrame) -> GraphRouter:
        """A new router that knows more outcomes, of any models of the pool; of a pair that was known the new one counts.

        Args:
            outcomes: As in `add_model`, with the column `model`.

        Raises:
            DataError: The outcomes break the contract, or name an unknown model or query.
        """
        if "model" not in outcomes.columns:
            raise DataError(f"The outcomes have the columns {', '.join(outcomes.columns)}; expected model, effect and a query.")
        models = sorted(set(outcomes["model"]))
        name = str(models[0]) if len(models) == 1 else ""
        return self._changed(changes.with_outcomes(self.support, outcomes, self.encoder), "add_outcomes", name, len(outcomes))

    def remove_model(self, model: str) -> GraphRouter:
        """A new router without the model and its outcomes.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: Too few models would be left.
        """
        kept = self.provenance.split.train
        return self._changed(changes.without_model(self.support, model, kept_queries=kept), "remove_model", model, 0)

    def update_card(self, card: ModelCard) -> GraphRouter:
        """A new router with another card for a model of the pool; its outcomes stay.

        Raises:
            UnknownModelError: The pool has no model of that name.
        """
        return self._changed(changes.with_card(self.support, card, self.encoder), "update_card", card.model, 0)

    def set_price(self, model: str, *, input_usd_per_mtok: float, output_usd_per_mtok: float) -> GraphRouter:
        """A new router that computes the cost of a model from other prices, in US dollars per million tokens.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: A price is negative or not finite.
        """
        prices = {"input_usd_per_mtok": input_usd_per_mtok, "output_usd_per_mtok": output_usd_per_mtok}
        card = parse_card({**self.pool[model].model_dump(by_alias=True), **prices})
        return self._changed(changes.with_price(self.support, card), "set_price", model, 0, same_state=True)

    def suggest_probes(self, n: int, *, model: str | None = None) -> pd.DataFrame:
        """The `n` queries to run on a newcomer so that their outcomes tell most: columns `query_id`, `task`, `prompt`.

        They stand in order of usefulness. Give their outcomes to `add_model` or `add_outcomes`.

        Args:
            n: How many.
            model: A model of the pool that is to be known better: what it has answered is left out, and counts as known already,
                so ask again after each batch. Without it the queries are for a model that is not in the pool yet.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: `n` is below 1, or larger than the number of prompts that are left.
        """
        return suggest_probes(self.support, self._net.base, self._state, n, model=model)

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

    def _changed(
        self, support: Support, what: ChangeName, model: str, num_outcomes: int, *, same_state: bool = False
    ) -> GraphRouter:
        """This router on another support; `same_state` where nothing changes that the network reads."""
        change = Change(what, model, num_outcomes, datetime.now(UTC).isoformat(timespec="seconds"))
        added = frozenset(map(prompt_key, support.queries["prompt"]))
        provenance = dataclasses.replace(
            self.provenance,
            changes=(*self.provenance.changes, change),
            seen_prompts=self.provenance.seen_prompts | added,
        )
        if not same_state:
            return GraphRouter(self.learned, support, provenance, self.encoder)
        router = copy.copy(self)
        router.support, router.provenance, router.pool = support, provenance, support.pool
        router.__dict__.pop("policy_context", None)  # it holds the pool
        return router

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
