"""The protocol that every router follows, and the routing that follows from predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from graphrouter.artifact import Lineage
from graphrouter.encoders.text_encoder import TextEncoder
from graphrouter.exceptions import ArtifactError, NotApplicableError
from graphrouter.files import to_path
from graphrouter.grades import Grade
from graphrouter.notebook import render_table
from graphrouter.policy import CostScale, Policy, PresetName
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.asked import UnknownTasks, check_grades
from graphrouter.router.choosing import ChoosingRouter
from graphrouter.router.new_cards import check_card, read_outcomes_of
from graphrouter.types import Embedding, FloatArray, Predictions, Queries

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from graphrouter.chats.chat_prompts import Prompt
    from graphrouter.config import TrainConfig
    from graphrouter.data import RoutingDataset, Split
    from graphrouter.router.training_view import TrainingView


class Router(ChoosingRouter):
    """Predicts effect and cost of every model on a query, and routes by a policy.

    A router is immutable. Predictions for a query do not depend on the other queries of a call.
    What a kind of router can do is declared by its class; `graphrouter.testing` holds a class
    against what it declares.
    """

    name: ClassVar[str]
    """Unique, as tables, commands and artifacts call the kind of router."""

    can_extend: ClassVar[bool] = False
    """Whether `add_models` takes in newcomers without a new fit."""
    can_predict_cost: ClassVar[bool] = False
    """Whether it predicts the cost of a call where the training outcomes had costs."""
    can_save: ClassVar[bool] = False
    """Whether `save` and `load` work."""
    has_intervals: ClassVar[bool] = False
    """Whether predictions carry intervals of the effect."""
    tells_familiarity: ClassVar[bool] = False
    """Whether predictions say how near a query is to solved ones."""
    covers_pool: ClassVar[bool] = True
    """Whether it expects an effect of every model; False for a method that chooses among a few."""
    learns_effects: ClassVar[bool] = True
    """Whether its effects are as high as those observed; False for a method that only ranks models
    and has never seen an effect."""
    reads_tasks: ClassVar[bool] = False
    """Whether the task of a query, where it is known, changes predictions."""
    reads_answers: ClassVar[bool] = False
    """Whether it calls models and looks at their answers before it settles on one. Predictions are
    then what it expects beforehand, and evaluations replay it on recorded outcomes."""
    needs_costs: ClassVar[bool] = False
    """Whether `fit` refuses data without costs and prices."""
    needs_answers: ClassVar[bool] = False
    """Whether `fit` refuses data without the texts of answers."""
    ranks_pool: ClassVar[bool] = False
    """Whether models differ by a trace of their rank alone, in which a newcomer takes a place."""
    reads_known: ClassVar[bool] = False
    """Whether grades of other models on the very query change predictions."""
    shares_outcomes: ClassVar[bool] = False
    """Whether the outcomes of a newcomer also move predictions for the other models."""

    pool: ModelPool
    cost_scale: CostScale

    @property
    def waits_for_nothing(self) -> bool:
        """Whether a decision on a short prompt waits just now for no disk, network or thread."""
        return False

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Keep the short repr: a dataclass would make one that prints every array."""
        super().__init_subclass__(**kwargs)
        if "__repr__" not in vars(cls):
            cls.__repr__ = cls.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.pool)} models)"

    def _repr_html_(self) -> str:
        rows = (
            (card.model, card.input_usd_per_mtok, card.output_usd_per_mtok, card.description)
            for card in self.pool
        )
        columns = ("model", "USD per million tokens in", "out", "description")
        return render_table(repr(self), columns, rows)

    @classmethod
    def fit(
        cls,
        data: RoutingDataset | TrainingView,
        config: TrainConfig | None = None,
        *,
        split: Split | None = None,
        encoder: TextEncoder | None = None,
        progress: bool = False,
    ) -> Self:
        """A router of this class, learned from the training queries of `data`.

        Settings of the method are chosen on the validation queries; test queries are not looked
        at.

        Args:
            data: Outcomes to learn from; a `TrainingView` where several routers are fitted on the
                same data.
            config: All settings; without it those of the view, or the defaults.
            split: Which queries train, validate and test; drawn by `config.split` without it.
            encoder: Text encoder to use in place of the one that `config.encoder` names.
            progress: Show progress bars.

        Raises:
            DataError: `data` is no dataset, or there are too few queries to split.
            NotApplicableError: The method needs something that the data does not have, or routers
                of this class cannot be fitted.
            TrainingError: The loss is no longer finite.
        """
        raise NotApplicableError(f"A {cls.__name__} cannot be fitted: its class has no fit.")

    def predict(
        self,
        queries: Queries | Sequence[Prompt],
        *,
        tasks: Sequence[str | None] | None = None,
        known: Sequence[Mapping[str, float | Grade] | None] | None = None,
        users: Sequence[str | None] | None = None,
        teams: Sequence[str | None] | None = None,
        contexts: Sequence[str | Sequence[str] | None] | None = None,
        embeddings: Sequence[Embedding | Sequence[float] | None] | None = None,
    ) -> Predictions:
        """Expected effect, cost, tokens and latency of every model of the pool on each query.

        Args:
            queries: Prompts, of which an empty text is allowed, or `Queries`. A prompt is a text,
                or the messages of a chat.
            tasks: Task of each prompt where known, None where not; without it, no task is known.
                A task that the router has never seen counts as unknown, and is warned of once.
            known: Grades of answers that models have given to each prompt, by model: a number in
                [0, 1], or a `Grade` of a judge who may be wrong. The effect of a graded model is
                then what the answer in hand is worth, and those of the others are what is expected
                of them after it.
            users: Who asks each prompt, None where nobody is named. What is learned of a user's
                grades counts then; routers that learn nothing of users leave it aside.
            teams: The team of each user who is new, None where unknown.
            contexts: Documents that go with each prompt, a text or a list of texts; None where
                there are none. Read by routers that were trained on some, see docs/views.md.
            embeddings: Vector that goes with each prompt, likewise.

        Raises:
            DataError: The queries are not what `Queries.of` takes, or an embedding is of an encoder
                that the router has not met.
            NotApplicableError: Grades are given, and the method learns nothing from them.
            UnknownModelError: A grade is of a model that is not in the pool.
        """
        asked = Queries.of(queries, tasks, known, users, teams, contexts, embeddings)
        return self._predict(self._check_queries(asked))

    def predict_batches(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        policy: Policy | None = None,
        num_processes: int = 1,
    ) -> Iterator[pa.RecordBatch]:
        """Predictions for batches of queries, one after the other, as engines ask for them.

        Without a policy one row a (query, model) pair, in the columns of
        `record_batches.SCORE_SCHEMA`; with one, one row a query with the model chosen, in those of
        `CHOICE_SCHEMA`. Null = cannot be predicted. A row does not depend on the others.

        Args:
            batches: With the columns `query_id`, `prompt` and perhaps `task`.
            policy: What to choose by.
            num_processes: Work in so many processes, each with a copy of the router; the same rows
                in the same order. A script then needs `if __name__ == "__main__":`.

        Raises:
            ConfigError: `num_processes` is no whole number of at least 1.
            DataError: A batch lacks a column, or has the same query_id twice.
            PolicyError: Nobody satisfies the policy and it names no fallback.
            UnknownModelError: The policy names a model that is not in the pool.
            WorkerError: A process died, or the router cannot be sent to one.

        Example:
            >>> import pyarrow as pa, graphrouter as gr
            >>> data = gr.simulate(num_queries=200, seed=0).data
            >>> router = gr.GraphRouter.fit(data, instant=True)
            >>> prompts = pa.RecordBatch.from_pydict({"query_id": ["a"], "prompt": ["1 + 1?"]})
            >>> [batch.num_rows for batch in router.predict_batches([prompts])]
            [12]
        """
        from graphrouter.router.record_batches import predict_each  # it loads pandas

        return predict_each(self, batches, policy, num_processes)

    def _check_queries(self, queries: Queries) -> Queries:
        """The queries, checked against what the router can do and knows."""
        self._check_views(queries)
        self.warn_of_unknown_tasks(queries.tasks)
        reader = type(self).__name__
        check_grades(queries, self.models, reader=reader, reads_known=self.reads_known)
        return queries

    def _check_views(self, queries: Queries) -> None:
        """Refuse contexts and embeddings that the router cannot read; for routers that read any."""

    @abstractmethod
    def _predict(self, queries: Queries) -> Predictions:
        """What `predict` gives back; each kind of router says how."""

    def save(
        self, folder: str | Path, *, overwrite: bool = False, evidence: bool | None = None
    ) -> None:
        """Write the router to `folder`, atomically and without pickle.

        What was there stays as an older version of the artifact, see `graphrouter versions`.

        Args:
            folder: Where.
            overwrite: Also put it in the place of changes that others made after this router was
                read from `folder` or saved there.
            evidence: Whether the text of solved prompts goes with it. Without, decisions are the
                same and cite prompts by a digest, see docs/artifact.md for what still tells of
                them. By default as the router was saved before, and with it at first.

        Raises:
            ArtifactError: `folder` is something else than a new or empty folder or an older
                artifact, or would lose changes of others, or keeps older versions with prompts
                that shall not be kept, or the prompts are asked for and were left out before.
            BusyError: Another process is changing the artifact, and did not end in time.
            NotApplicableError: Routers of this class cannot be saved.
        """
        place = to_path(folder, "an artifact", ArtifactError)
        self._save(place, overwrite=overwrite, evidence=evidence)

    def _save(self, folder: Path, *, overwrite: bool, evidence: bool | None) -> None:
        """What `save` does; each kind of router says how."""
        raise NotApplicableError(f"A {type(self).__name__} cannot be saved: its class has no rule.")

    @classmethod
    def load(cls, folder: str | Path, *, encoder: TextEncoder | None = None) -> Self:
        """The router of this class that was saved in `folder`.

        Args:
            folder: An artifact, or where one lies in MLflow; see `load_router`.
            encoder: Text encoder to use in place of the one that the artifact names; it must be the
                same.

        Raises:
            ArtifactError: There is no artifact, it is damaged, or it holds another router.
            EncoderError: The text encoder is not the one that the router was fitted with.
            NotApplicableError: Routers of this class cannot be saved.
        """
        raise NotApplicableError(f"A {cls.__name__} cannot be loaded: its class has no load.")

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the candidate models, in the column order of predictions."""
        return self.pool.names

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """The tasks that the router can tell apart; None for one that does not look at tasks."""
        return None

    def warn_of_unknown_tasks(self, tasks: Iterable[str | None]) -> None:
        """Log a warning for each task that the router has never seen, with the nearest it knows.

        Once a task and router, and of the first 100 alone: a server would say it at every call.
        """
        if self.known_tasks is not None:
            self._tasks_warned_of.warn(tasks, self.known_tasks)

    @cached_property
    def _tasks_warned_of(self) -> UnknownTasks:
        return UnknownTasks()

    @cached_property
    def lineage(self) -> Lineage:
        """Where it lies or was read from, so that `save` sees whether others have changed that."""
        return Lineage()

    def preset_utilities(self, queries: Queries) -> Mapping[PresetName, FloatArray] | None:
        """What the router maximises in each preset, (num_queries, num_models).

        None where any policy can use its predictions, which is so but for methods that are trained
        for one trade-off at a time.
        """
        return None

    def add_models(
        self, cards: Sequence[ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> Self:
        """A new router of the same kind with the given models at the end of its pool.

        Nothing is fitted again, this router stays.

        A model without outcomes is placed by what the method expects of any model, its cost by its
        list prices where known.

        Args:
            cards: What is known of the models, in the order of their columns.
            outcomes: Columns `model`, `effect` (0 to 1), `prompt` (and perhaps `task`, `query_id`),
                perhaps `cost_usd`, `input_tokens`, `output_tokens`, `latency_s`.

        Raises:
            NotApplicableError: The method has no place for a model that it was not fitted with.
            DataError: A model of that name is in the pool, or the outcomes break the contract.
            UnknownModelError: An outcome is of a model that is not among the cards.
        """
        raise NotApplicableError(
            f"{type(self).__name__} cannot take in a model without being fitted again: fit it "
            "again with the model's outcomes."
        )

    def add_model(self, card: ModelCard, *, outcomes: pd.DataFrame | None = None) -> Self:
        """A new router whose pool has one more model; see `add_models`.

        Args:
            card: What is known of the model.
            outcomes: As in `add_models`; the column `model` may be left out.

        Raises:
            NotApplicableError: The method has no place for a model that it was not fitted with.
            DataError: A model of that name is in the pool, or the outcomes break the contract or
                are of another model.
        """
        check_card(card)
        if outcomes is None:
            return self.add_models([card])
        return self.add_models([card], outcomes=read_outcomes_of(card.model, outcomes))
