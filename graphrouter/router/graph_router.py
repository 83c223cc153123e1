"""The graph router: train it, ask it, save it. Immutable; reading it from many threads is safe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from graphrouter.artifact import Lineage, artifact_folder
from graphrouter.config import TrainConfig
from graphrouter.data import Split
from graphrouter.decision import Decision
from graphrouter.encoders import TextEncoder
from graphrouter.features.channels import Tariff
from graphrouter.features.prompts import PromptReading
from graphrouter.lazy import pandas as pd
from graphrouter.moment import Moment
from graphrouter.policy import CostScale, Policy
from graphrouter.router.encoded_queries import UnreadViews, encode_queries, encode_solved
from graphrouter.router.held_to_data import HeldToData
from graphrouter.router.joint_calls import JointCalls
from graphrouter.router.learned import Learned
from graphrouter.router.outcome_covariance import OutcomeCovariance
from graphrouter.router.parts import Support
from graphrouter.router.provenance import DEVIATION_SHARE, Change, Provenance
from graphrouter.router.sequential import SequentialRouter
from graphrouter.router.solved_queries import SolvedQueries
from graphrouter.router.states import (
    States,
    find_outcome_covariance,
    find_search,
    make_states,
)
from graphrouter.router.storage import read_parts, save_parts
from graphrouter.router.unsettled import LaterSearch, SolvedSince, Unsettled
from graphrouter.routes.route_space import RouteSpace
from graphrouter.scoring.forecaster import EncodedQueries, Forecast, Forecaster
from graphrouter.selection import PolicyContext, decide
from graphrouter.types import IntArray, Predictions, Queries
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

    from graphrouter.data import RoutingDataset
    from graphrouter.router.training_view import Answers, TrainingView


class GraphRouter(HeldToData, SequentialRouter):
    """Predicts effect, cost and latency with a graph neural network over tasks, queries and models.

    States of the support are computed once; a query costs one text encoding, one neighbour search
    and one readout over the pool. Predictions run in double precision, so that a score does not
    depend on the batch it is computed in.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=200, seed=0).data
        >>> quick = ["training.max_epochs=1", "training.steps_per_epoch=2"]
        >>> router = gr.GraphRouter.fit(data, gr.load_config(overrides=quick))
        >>> router.route("Translate 'good morning' into French.").model in router.models
        True
    """

    name: ClassVar[str] = "graphrouter"
    can_extend: ClassVar[bool] = True
    can_predict_cost: ClassVar[bool] = True
    can_save: ClassVar[bool] = True
    has_intervals: ClassVar[bool] = True
    tells_familiarity: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True
    shares_outcomes: ClassVar[bool] = True

    def __init__(
        self,
        learned: Learned,
        support: Support,
        provenance: Provenance,
        encoder: TextEncoder,
        *,
        forecaster: Forecaster | None = None,
        states: States | None = None,
        search_recall: float | None = None,
        unsettled: Unsettled | None = None,
    ) -> None:
        """A router of its parts; users call `fit` or `load_router`.

        Args:
            learned: What training produced.
            support: What the router has seen.
            provenance: Where it comes from.
            encoder: Of the prompts; the one that the features of the support come from.
            forecaster: What reads the network, where that is made already.
            states: What the network makes of the support, where that is known already.
            search_recall: As in `load_router`.
            unsettled: Outcomes that came since the states were computed.
        """
        self.learned = learned
        self._settled, self._unsettled = support, unsettled
        self.provenance = provenance
        self.encoder = encoder
        self.pool = support.pool
        self._forecaster = forecaster or learned.make_forecaster()
        self.bills = support.read_bills(learned.transforms.channels)
        self._states = self._settled_states = states or make_states(learned, support, self.bills)
        self._tokens = support.count_tokens().arrange_by_kind()
        self._search_recall = search_recall
        self._search = find_search(learned, support, self._states.support, search_recall)
        self._solved, self._num_new = SolvedQueries(support), None
        if unsettled is not None:
            told = unsettled.tell(learned, self._forecaster.net, self.bills)
            self._states, self._search = told.states, LaterSearch(self._search, told)
            self._solved = SolvedSince(support, unsettled.queries, told)
            self._num_new = told.num_new
        self._speeds, self._effort_order = support.read_speeds(), support.order_efforts()
        self._tasks = {str(task): i for i, task in enumerate(support.task_table["task"])}
        self._single_calls = JointCalls[Queries, Forecast]()

    @cached_property
    def support(self) -> Support:  # type: ignore[override]  # of a class that holds it
        """What the router has seen, outcomes that are not settled included."""
        return self._settled if self._unsettled is None else self._unsettled.join(self.encoder)

    @property
    def num_unsettled(self) -> int:
        """How many outcomes came since its states were solved for; see `add_outcomes`."""
        return 0 if self._unsettled is None else len(self._unsettled)

    @property
    def num_outcomes(self) -> IntArray:
        """(M,) how many outcomes are known of each model, in pool order."""
        known = self._settled.num_outcomes
        return known if self._num_new is None else known + self._num_new

    @property
    def waits_for_nothing(self) -> bool:
        """Whether its text encoder works in memory alone, and no thread asks it just now."""
        in_memory = getattr(self.encoder, "works_in_memory", False) is True
        return in_memory and not self._single_calls.is_busy

    def __repr__(self) -> str:
        return (
            f"GraphRouter({count_of(len(self.pool), 'model')}, "
            f"{count_of(len(self.support.outcome_table), 'outcome')} on "
            f"{count_of(len(np.unique(self.support.positions.query)), 'query')} of "
            f"{self.provenance.dataset!r})"
        )

    @classmethod
    def fit(
        cls,
        data: RoutingDataset | TrainingView | Answers,
        config: TrainConfig | None = None,
        *,
        split: Split | None = None,
        encoder: TextEncoder | None = None,
        work_dir: str | Path | None = None,
        progress: bool = False,
        callbacks: Sequence[Callback] = (),
        instant: bool = False,
    ) -> GraphRouter:
        """A router trained on the training queries of `data`; its test queries are not looked at.

        Args:
            data: Outcomes to learn from; a `TrainingView` where several routers are fitted on the
                same data. Or one flat table of answers, a data frame or a mapping of columns:
                prompt, model, effect, perhaps task, cost (US dollars) and tokens.
            config: All settings; without it those of the view, or the defaults.
            split: Which queries train, validate and test; drawn by `config.split` without it.
            encoder: Text encoder to use in place of the one that `config.encoder` names; give the
                same to `load`.
            work_dir: Folder for checkpoints. When a run with the same data and settings was
                interrupted there, training goes on from there. It is yours to delete, after the
                router is saved.
            progress: Show progress bars.
            callbacks: Lightning callbacks that watch the training, such as a tracker.
            instant: Train nothing: the network predicts from its start values and what it solves
                for in closed form, within seconds. Its intervals are not calibrated. Of a table of
                answers every row counts then, none is kept for a test.

        Raises:
            DataError: There are too few queries to split.

        Example:
            >>> import graphrouter as gr
            >>> answers = {"prompt": ["1 + 1?", "1 + 1?", "Hi.", "Hi."], "model": ["a", "b"] * 2}
            >>> router = gr.GraphRouter.fit({**answers, "effect": [0, 1, 1, 1]}, instant=True)
            >>> router.route("2 + 2?").model
            'b'
        """
        # Training loads Lightning and PyTorch Geometric, a second that serving should not pay.
        from graphrouter.data import read_answers
        from graphrouter.nn.freed_memory import release_freed_memory
        from graphrouter.router.fitting import fit_parts
        from graphrouter.router.training_view import TrainingView

        if instant and isinstance(data, pd.DataFrame | Mapping):
            data = read_answers(data)
            split = split or Split(tuple(sorted(data.queries["query_id"])), (), ())
        view = TrainingView.of(data, config, split=split, encoder=encoder, progress=progress)
        if instant:
            view = TrainingView.of(view, view.config.without_training())
        parts = fit_parts(view, work_dir=work_dir, callbacks=callbacks)
        # What the rows were made into is let go, unless the view was handed in: states need room.
        del view
        release_freed_memory()
        return cls(*parts)

    def _predict(self, queries: Queries, reading: PromptReading | None = None) -> Predictions:
        """Expected effect with an 80 % interval and amounts; a long prompt is read at both ends."""
        return self._tell(queries, self._forecast(queries, reading).predictions)

    def predict_solved(self, solved: Support) -> Predictions:
        """Predictions for the queries of another support, by what is kept of them.

        A router does not keep contexts, nor embeddings as they came, but what it has read of them.

        Args:
            solved: Features and users of the queries, by the encoder and the tasks of this router;
                it has learned from none of their outcomes.

        Example:
            >>> import graphrouter as gr
            >>> data = gr.simulate(num_queries=40, num_models=3).data
            >>> router = gr.GraphRouter.fit(data, instant=True)
            >>> router.predict_solved(router.support).effect.shape == (
            ...     len(router.support.queries), 3
            ... )
            True
        """
        asker = self._settled.find_askers(Queries.of_frame(solved.queries))
        encoded = encode_solved(self.learned, solved.raw, asker)
        return self._forecast_encoded(encoded).predictions

    def _predict_reading(self, queries: Queries, reading: PromptReading) -> Predictions:
        return self._predict(queries, reading)

    @cached_property
    def _tariff(self) -> Tariff:
        return self._settled.read_tariff(self.bills, self._tokens)

    @cached_property
    def cost_scale(self) -> CostScale:  # type: ignore[override]  # of a class that holds it
        """Bounds of the costs that policies weigh, at the prices of today."""
        return self._settled.reprice_scale(self.learned.transforms.cost)

    @cached_property
    def outcome_covariance(self) -> OutcomeCovariance:
        """What outcomes on one query have in common, found by the solved queries."""
        settled = self._settled, self.bills, self._settled_states
        return find_outcome_covariance(self.learned, *settled)

    def _decide(
        self,
        queries: Queries,
        policies: Sequence[Policy],
        moment: Moment,
        reading: PromptReading | None = None,
        sources: Sequence[str] = (),
    ) -> list[Decision]:
        """Where to send each query, with the most similar solved queries as evidence."""
        expected, neighbours, cosine = self._forecast(queries, reading)
        predictions = moment.delay(self._tell(queries, expected))
        context = self.policy_context.at(moment)
        similar = map(self._solved.quote, neighbours, cosine, queries.users)
        asked = zip(policies, similar, sources or [""] * len(policies), strict=True)
        return [
            decide(by, predictions, i, context, evidence=evidence, source=source)
            for i, (by, evidence, source) in enumerate(asked)
        ]

    @cached_property
    def _route_space(self) -> RouteSpace:
        prompts, raw = self.learned.transforms.features.prompts, self._settled.raw
        solved = (raw.prompts, raw.surface, raw.query_task)
        return RouteSpace(self.encoder, prompts, *solved, self.known_tasks, raw.tasks)

    @cached_property
    def policy_context(self) -> PolicyContext:
        """What policies need to know of this router."""
        share = self.provenance.metrics.get(DEVIATION_SHARE, 1.0)
        logged = self._settled.list_logged("latency_s")
        return PolicyContext(self.pool, self.cost_scale, share, logged_latency=logged)

    def _save(self, folder: Path, *, overwrite: bool, evidence: bool | None) -> None:
        of = self.settle()
        parts = (of.learned, of.support, of.provenance, of.encoder)
        made = of._states, of.outcome_covariance
        save_parts(folder, parts, made, self.lineage, overwrite=overwrite, evidence=evidence)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        encoder: TextEncoder | None = None,
        search_recall: float | None = None,
    ) -> GraphRouter:
        """The graph router that was saved in `folder`.

        Args:
            folder: An artifact, or where one lies in MLflow; see `load_router`.
            encoder: Text encoder to use in place of the one that the settings of the artifact name;
                it must be the same.
            search_recall: As in `load_router`.

        Raises:
            ArtifactError: There is no artifact, it is damaged, edited or of another format version,
                or it holds a baseline.
            EncoderError: The text encoder is not the one that the router was trained with.
        """
        lineage = Lineage()
        with artifact_folder(folder) as found:
            parts, states = read_parts(found, lineage, encoder=encoder)
        router = cls(*parts, states=states, search_recall=search_recall)
        router.lineage.follow(lineage)
        return router

    @property
    def known_tasks(self) -> tuple[str, ...]:
        """The tasks seen in training, and those added since."""
        return tuple(self._tasks)

    def _forecast(self, queries: Queries, reading: PromptReading | None = None) -> Forecast:
        if len(queries) == 1 and reading is None:
            return self._single_calls.ask(queries, self._forecast_each)
        return self._forecast_all(queries, reading)

    def _forecast_each(self, asked: Sequence[Queries]) -> list[Forecast]:
        """What is expected on each of some queries, which come as single ones."""
        if len(asked) == 1:
            return [self._forecast_all(asked[0])]
        return self._forecast_all(Queries.join(asked)).split()

    def _forecast_all(self, queries: Queries, reading: PromptReading | None = None) -> Forecast:
        asker = self._settled.find_askers(queries)
        encoded = encode_queries(self.learned, self.encoder, queries, self._tasks, reading, asker)
        return self._forecast_encoded(encoded)

    def _forecast_encoded(self, encoded: EncodedQueries) -> Forecast:
        found = self._forecaster.forecast_queries(
            self._states.support,
            encoded,
            self.pool,
            self.learned.config.graph.num_neighbours,
            self._tokens,
            self._tariff,
            familiarity=self._states.familiarity,
            levels=self._states.levels,
            search=self._search,
        )
        ordered = self._effort_order.keep(found.predictions)
        return found._replace(predictions=self._speeds.add_to(ordered))

    def _check_views(self, queries: Queries) -> None:
        self._unread_views.check(queries, self.learned.transforms.features.views, self._settled)

    @cached_property
    def _unread_views(self) -> UnreadViews:
        return UnreadViews()

    def _exchange_support(
        self, support: Support, *made: Change, keeps_state: bool = False
    ) -> GraphRouter:
        changed = GraphRouter(
            self.learned,
            support,
            self.provenance.after(made, support, self.support),
            self.encoder,
            forecaster=self._forecaster,
            states=self._states if keeps_state and self._unsettled is None else None,
            search_recall=self._search_recall,
        )
        changed.lineage.follow(self.lineage)
        return changed

    def settle(self) -> GraphRouter:
        """The router with its states solved for all outcomes at once; itself where they are."""
        return self if self._unsettled is None else self._exchange_support(self.support)

    def _take_in(self, outcomes: pd.DataFrame, made: Change) -> GraphRouter | None:
        since = self._unsettled or Unsettled.of(self._settled, self._settled_states)
        more = since.add(outcomes, self.learned, self.encoder, self.bills)
        if more is None:
            return None
        changed = GraphRouter(
            self.learned,
            self._settled,
            self.provenance.after_outcomes(made, more.queries["prompt"]),
            self.encoder,
            forecaster=self._forecaster,
            states=self._settled_states,
            search_recall=self._search_recall,
            unsettled=more,
        )
        changed.lineage.follow(self.lineage)
        return changed
