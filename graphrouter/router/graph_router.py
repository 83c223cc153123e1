"""The graph router: train it, ask it, save it. Immutable; reading it from many threads is safe."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from graphrouter.artifact import artifact_folder
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split
from graphrouter.data.splits import prompt_key
from graphrouter.decision import Decision, Evidence, decide
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import DataError, NotApplicableError, UnknownModelError
from graphrouter.features.channels import SpendUnit
from graphrouter.features.prompts import prompt_chars, surface_features
from graphrouter.features.tables import outcome_columns, outcome_edges, positions_of
from graphrouter.graph.builder import build_graph
from graphrouter.nn.attention import Neighbourhood
from graphrouter.nn.forecaster import EncodedQueries, Forecast
from graphrouter.nn.layers import cpu_threads
from graphrouter.nn.state import SupportState
from graphrouter.policy import CostScale, Policy
from graphrouter.pool import ModelCard, parse_card
from graphrouter.router import changes
from graphrouter.router.evidence import SolvedQueries
from graphrouter.router.fitting import fit_parts
from graphrouter.router.probes import suggest_probes
from graphrouter.router.protocol import Router, check_frame
from graphrouter.router.storage import read_parts, save_parts
from graphrouter.router.support import Change, Learned, Provenance, Support
from graphrouter.types import Predictions, Queries

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

_NUM_EVIDENCE = 5


class GraphRouter(Router):
    """Predicts effect, cost and latency with a graph neural network over tasks, queries and models.

    States of the support are computed once; a query costs one text encoding, one neighbour search
    and one readout over the pool. Predictions run in double precision, so that a score does not
    depend on the batch it is computed in.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
        >>> router = gr.GraphRouter.fit(data, config)
        >>> router.route("Translate 'good morning' into French.").model in router.models
        True
    """

    def __init__(
        self, learned: Learned, support: Support, provenance: Provenance, encoder: TextEncoder
    ) -> None:
        """A router of its parts; users call `fit` or `load_router`."""
        self.learned = learned
        self.support = support
        self.provenance = provenance
        self.encoder = encoder
        self.pool = support.pool
        self.cost_scale: CostScale = learned.transforms.cost
        self._state = _encode(learned, support)
        self._tasks = {str(task): i for i, task in enumerate(support.tasks["task"])}

    def __repr__(self) -> str:
        return (
            f"GraphRouter({len(self.pool)} models, {len(self.support.queries)} solved queries "
            f"of {self.provenance.dataset!r})"
        )

    @classmethod
    def fit(
        cls,
        data: RoutingDataset,
        config: TrainConfig | None = None,
        *,
        split: Split | None = None,
        work_dir: str | Path | None = None,
        progress: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> GraphRouter:
        """A router trained on the training queries of `data`; its test queries are not looked at.

        Args:
            data: Outcomes to learn from.
            config: All settings; the defaults without it.
            split: Which queries train, validate and test; drawn by `config.split` without it.
            work_dir: Folder for checkpoints. When a run with the same data and settings was
                interrupted there, training goes on from there. It is yours to delete, after the
                router is saved.
            progress: Show progress bars.
            callbacks: Lightning callbacks that watch the training, such as a tracker.

        Raises:
            DataError: There are too few queries to split.
        """
        settings = config or TrainConfig()
        return cls(
            *fit_parts(
                data,
                settings,
                split=split,
                work_dir=work_dir,
                progress=progress,
                callbacks=callbacks,
            )
        )

    def _predict(self, queries: Queries) -> Predictions:
        """Expected effect with an 80 % interval, cost, tokens and latency of every model.

        A very long prompt is read at both ends.
        """
        return self._assess(queries).predictions

    def _decide(self, queries: Queries, policy: Policy) -> list[Decision]:
        """Where to send each query, with the most similar solved queries as evidence."""
        assessed = self._assess(queries)
        return [
            decide(
                policy,
                assessed.predictions,
                i,
                self.policy_context,
                evidence=self._evidence(assessed.neighbours, i),
            )
            for i in range(len(assessed.predictions))
        ]

    def add_models(
        self, cards: Sequence[ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> GraphRouter:
        """A new router with more models at the end of its pool.

        The states of the support are computed once for all.

        Args:
            cards: What is known of the models without running them.
            outcomes: What they did: columns `model` and `effect`, the `query_id` of a query of the
                support, or else `prompt` and perhaps `task`, and perhaps `cost_usd`,
                `input_tokens`, `output_tokens`, `latency_s`. A task that the router does not know
                counts as unknown until `add_task` names it. A model without outcomes is placed by
                its card.

        Raises:
            DataError: A model of that name is in the pool, or the outcomes break the contract.
            UnknownModelError: An outcome is of a model that is not among the cards.

        Example:
            >>> import graphrouter as gr
            >>> config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
            >>> router = gr.GraphRouter.fit(gr.simulate(num_queries=100, num_models=3).data, config)
            >>> wider = router.add_models([gr.ModelCard(model="fresh"), gr.ModelCard(model="fresher")])
            >>> len(router.pool), wider.models[-2:]
            (3, ('fresh', 'fresher'))
        """
        wider = changes.with_models(self.support, cards, self.encoder)
        if outcomes is not None:
            _check_has_models(outcomes)
            names = [card.model for card in cards]
            others = sorted(set(outcomes["model"].dropna().astype("str")) - set(names))
            if others:
                raise UnknownModelError(
                    f"The outcomes are of {others[0]!r} too; expected outcomes of "
                    f"{', '.join(names)} alone."
                )
            wider = changes.with_outcomes(wider, outcomes, self.encoder)
        added = wider.outcomes["model"].value_counts()
        made = (
            Change.now("add_model", model=card.model, num_outcomes=int(added.get(card.model, 0)))
            for card in cards
        )
        return self._changed(wider, *made)

    def add_outcomes(self, outcomes: pd.DataFrame, *, replace: bool = False) -> GraphRouter:
        """A new router that knows more outcomes, of any models of the pool.

        Of a pair that was known the new one counts.

        Args:
            outcomes: As in `add_models`.
            replace: Forget all older outcomes of these models first: for a model that has changed
                behind the same name.

        Raises:
            DataError: The outcomes break the contract, or name an unknown model or query.
        """
        _check_has_models(outcomes)
        if replace:
            kept = self.provenance.split.train
            support = changes.replacing_outcomes(
                self.support, outcomes, self.encoder, kept_queries=kept
            )
        else:
            support = changes.with_outcomes(self.support, outcomes, self.encoder)
        models = sorted(set(outcomes["model"].astype("str")))
        change = Change.now(
            "replace_outcomes" if replace else "add_outcomes",
            model=models[0] if len(models) == 1 else "",
            num_outcomes=len(outcomes),
        )
        return self._changed(support, change)

    def add_task(
        self, task: str, *, description: str | None = None, examples: pd.DataFrame | None = None
    ) -> GraphRouter:
        """A new router that knows one more task; nothing is trained.

        Queries that were added under its name while nobody knew it belong to it from now on. A task
        without queries is predicted as the tasks that resemble the prompt and its description;
        predictions for all other queries stay as they are. With examples predictions move as with
        any outcomes.

        Args:
            task: Its name.
            description: What its queries are about. It is not read where no task had a description
                in training.
            examples: Outcomes on its queries, as in `add_models`, of any models of the pool; a
                column `task` may be left out.

        Raises:
            DataError: The name is blank or known, or the examples break the contract or are of
                another task.
            NotApplicableError: The router was trained on queries without tasks.
        """
        if not self.known_tasks:
            raise NotApplicableError(
                f"The router cannot take in the task {task!r}: it was trained on queries without "
                "tasks. "
                "Fit it again on data with a column task."
            )
        reads = bool(self.learned.transforms.features.tasks(self.support.raw.tasks).any())
        wider = changes.with_task(
            self.support, task, self.encoder, description=description, reads_descriptions=reads
        )
        if examples is not None:
            _check_has_models(examples)
            wider = changes.with_examples(wider, task, examples, self.encoder)
        change = Change.now(
            "add_task", task=task, num_outcomes=0 if examples is None else len(examples)
        )
        return self._changed(wider, change)

    def remove_model(self, model: str) -> GraphRouter:
        """A new router without the model and its outcomes.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: Too few models would be left.
        """
        smaller = changes.without_model(
            self.support, model, kept_queries=self.provenance.split.train
        )
        return self._changed(smaller, Change.now("remove_model", model=model))

    def update_card(self, card: ModelCard) -> GraphRouter:
        """A new router with another card for a model of the pool; its outcomes stay.

        Raises:
            UnknownModelError: The pool has no model of that name.
        """
        support = changes.with_card(self.support, card, self.encoder)
        return self._changed(support, Change.now("update_card", model=card.model))

    def set_price(
        self, model: str, *, input_usd_per_mtok: float, output_usd_per_mtok: float
    ) -> GraphRouter:
        """A new router that computes the cost of a model from other prices, in US dollars per million tokens.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: A price is negative or not finite.
            NotApplicableError: The router has learned dollars without list prices: no price enters
                its costs.
        """
        if self.learned.transforms.channels.spend_unit is SpendUnit.USD:
            raise NotApplicableError(
                "The costs of this router come from recorded dollars alone, without list prices; "
                "a price would change nothing. "
                "Add outcomes with the new cost_usd, or fit it on data with tokens or prices."
            )
        prices = {
            "input_usd_per_mtok": input_usd_per_mtok,
            "output_usd_per_mtok": output_usd_per_mtok,
        }
        card = parse_card({**self.pool[model].model_dump(by_alias=True), **prices})
        return self._changed(
            changes.with_price(self.support, card),
            Change.now("set_price", model=model),
            same_state=True,
        )

    def suggest_probes(self, n: int, *, model: str | None = None) -> pd.DataFrame:
        """The `n` queries to run on a newcomer so that their outcomes tell most: columns `query_id`, `task`, `prompt`.

        They stand in order of usefulness. Give their outcomes to `add_model` or `add_outcomes`.

        Args:
            n: How many.
            model: A model of the pool that is to be known better: what it has answered is left out,
                and counts as known already, so ask again after each batch. Without it the queries
                are for a model that is not in the pool yet.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: `n` is below 1, or larger than the number of prompts that are left.
        """
        base = self.learned.forecaster.net.base
        return suggest_probes(self.support, base, self._state, n, model=model)

    def save(self, folder: str | Path) -> None:
        """Nothing; the router lies in `folder` afterwards, written atomically and without pickle.

        Raises:
            ArtifactError: `folder` is something else than a new or empty folder or an older
                artifact.
        """
        save_parts(Path(folder), self.learned, self.support, self.provenance, self.encoder)

    @classmethod
    def load(cls, folder: str | Path, *, encoder: TextEncoder | None = None) -> GraphRouter:
        """The graph router that was saved in `folder`.

        Args:
            folder: An artifact, or where one lies in MLflow; see `load_router`.
            encoder: Text encoder to use in place of the one that the settings of the artifact name;
                it must be the same.

        Raises:
            ArtifactError: There is no artifact, it is damaged, edited or of another format version,
                or it holds a baseline.
            EncoderError: The text encoder is not the one that the router was trained with.
        """
        with artifact_folder(folder) as found:
            return cls(*read_parts(found, encoder=encoder))

    @property
    def known_tasks(self) -> tuple[str, ...]:
        """The tasks seen in training, and those added since."""
        return tuple(self._tasks)

    def _changed(self, support: Support, *made: Change, same_state: bool = False) -> GraphRouter:
        """This router on another support.

        `same_state` where nothing changes that the network reads.
        """
        provenance = dataclasses.replace(self.provenance, changes=(*self.provenance.changes, *made))
        if not same_state:
            seen = provenance.seen_prompts | frozenset(map(prompt_key, support.queries["prompt"]))
            return GraphRouter(
                self.learned,
                support,
                dataclasses.replace(provenance, seen_prompts=seen),
                self.encoder,
            )
        router = copy.copy(self)
        router.support, router.provenance, router.pool = support, provenance, support.pool
        router.__dict__.pop("policy_context", None)  # it holds the pool
        return router

    def _assess(self, queries: Queries) -> Forecast:
        texts = list(queries.prompts)
        embeddings, surface = self.encoder.encode(texts), surface_features(texts)
        transform = self.learned.transforms.features.prompts
        encoded = EncodedQueries(
            text=torch.from_numpy(transform.text(embeddings)).double(),
            principal=torch.from_numpy(transform.principal(embeddings, surface)).double(),
            task=torch.tensor(
                [-1 if name is None else self._tasks.get(name, -1) for name in queries.tasks],
                dtype=torch.int64,
            ),
            num_chars=torch.from_numpy(prompt_chars(surface)),
        )
        with cpu_threads(1):
            return self.learned.forecaster.forecast_queries(
                self._state, encoded, self.pool, self.learned.config.graph.num_neighbours
            )

    def _evidence(self, similar: Neighbourhood, row: int) -> tuple[Evidence, ...]:
        """The most similar queries that any model has answered, most similar first."""
        pairs = zip(similar.query[row].tolist(), similar.cosine[row].tolist(), strict=True)
        return self._solved.most_similar(pairs, _NUM_EVIDENCE)

    @cached_property
    def _solved(self) -> SolvedQueries:
        """The support, to be quoted as evidence."""
        return SolvedQueries.of(self.support)


def _check_has_models(outcomes: pd.DataFrame) -> None:
    """Nothing.

    Raises:
        DataError: The outcomes do not say whose they are.
    """
    check_frame(outcomes)
    if "model" not in outcomes.columns:
        there = ", ".join(str(name) for name in outcomes.columns) or "none"
        raise DataError(
            f"The outcomes have the columns {there}; expected model, effect and a query."
        )


@torch.inference_mode()
def _encode(learned: Learned, support: Support) -> SupportState:
    """The cached state of a support, in double precision."""
    position = positions_of(support.outcomes["query_id"], support.queries["query_id"].tolist())
    model = positions_of(support.outcomes["model"], support.pool.names)
    edges = outcome_edges(position, model, outcome_columns(support.outcomes), learned.transforms)
    graph = build_graph(
        support.raw.to_nodes(learned.transforms.features),
        support=edges,
        support_queries=torch.arange(len(support.queries)),
        target_queries=torch.empty(0, dtype=torch.int64),
        target_tasks=torch.empty(0, dtype=torch.int64),
        num_neighbours=learned.config.graph.num_neighbours,
    )
    net = learned.forecaster.net
    return net.encode_support(graph.apply(lambda x: x.double() if x.dtype == torch.float32 else x))
