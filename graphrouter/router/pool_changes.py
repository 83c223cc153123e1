"""How a graph router changes without training: models, outcomes, tasks, cards and prices.

Each method gives back a new router and leaves the old one as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.exceptions import DataError, NotApplicableError, UnknownModelError
from graphrouter.features.channels import SpendUnit
from graphrouter.lazy import LazyModule
from graphrouter.lazy import pandas as pd
from graphrouter.pool import ModelCard, parse_card
from graphrouter.router.outcome_changes import OutcomeChanges
from graphrouter.router.provenance import Change
from graphrouter.wording import name_some

if TYPE_CHECKING:
    from graphrouter.router import support_changes
else:  # it reads and checks tables, of which an answer needs none
    support_changes = LazyModule("graphrouter.router.support_changes")

_logger = logging.getLogger(__name__)
_IDLE_PRICE = (
    "the router has learned dollars from bills alone, without list prices, so a price enters no "
    "cost. Add outcomes of the model with what its calls were billed (cost_usd), or fit the router "
    "on data with the list prices of its models."
)


class ChangeableRouter(OutcomeChanges):
    """A router whose support can be exchanged; what it has learned stays.

    The support after a change is computed in `router.support_changes`; here stands what users may
    ask for, and what is noted of it.
    """

    def add_models(
        self, cards: Sequence[ModelCard], *, outcomes: pd.DataFrame | None = None
    ) -> Self:
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
            >>> data = gr.simulate(num_queries=100, num_models=3).data
            >>> router = gr.GraphRouter.fit(data, instant=True)
            >>> cards = [gr.ModelCard(model="fresh"), gr.ModelCard(model="fresher")]
            >>> len(router.pool), router.add_models(cards).models[-2:]
            (3, ('fresh', 'fresher'))
        """
        wider = support_changes.add_models(self.support, cards, self.encoder)
        if outcomes is not None:
            names = [card.model for card in cards]
            outcomes = self._read_outcomes(wider, outcomes, "outcomes")
            others = sorted(set(outcomes["model"]) - set(names))
            if others:
                raise UnknownModelError(
                    f"The outcomes are of {others[0]!r} too; expected outcomes of "
                    f"{name_some(names)} alone."
                )
            self.warn_of_unknown_tasks(outcomes["task"].dropna())
            wider = support_changes.add_outcomes(wider, outcomes, self.encoder)
        added = wider.outcomes["model"].value_counts()
        made = (
            Change.now("add_model", model=card.model, num_outcomes=int(added.get(card.model, 0)))
            for card in cards
        )
        changed = self._exchange_support(wider, *made)
        changed._warn_of_idle_prices([card.model for card in cards])
        return changed

    def _reads_price(self, model: str) -> bool:
        """Whether a list price of the model enters its cost.

        Where dollars are learned from bills alone, it does only by what changed since a bill.
        """
        at = self.pool.position(model)
        if self.spend_unit is not SpendUnit.USD:
            return True
        charged = self.bills.charge(self.pool.prices).spend_usd[at]
        return bool(np.isfinite(self.bills.list_then[0, at]) and np.isfinite(charged))

    def _warn_of_idle_prices(self, models: Sequence[str]) -> None:
        """Say which list prices that are stated enter no cost."""
        prices = self.pool.prices
        stated = [m for m in models if (prices[:, self.pool.position(m)] > 0).any()]
        idle = [model for model in stated if not self._reads_price(model)]
        if idle:
            _logger.warning("%s: %s", name_some(idle), _IDLE_PRICE)

    def add_task(
        self, task: str, *, description: str | None = None, examples: pd.DataFrame | None = None
    ) -> Self:
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
        wider = support_changes.add_task(
            self.support, task, self.encoder, description=description, reads_descriptions=reads
        )
        if examples is not None:
            examples = self._read_outcomes(wider, examples, "examples")
            wider = support_changes.add_examples(wider, task, examples, self.encoder)
        change = Change.now(
            "add_task", task=task, num_outcomes=0 if examples is None else len(examples)
        )
        return self._exchange_support(wider, change)

    def remove_model(self, model: str) -> Self:
        """A new router without the model and its outcomes.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: Too few models would be left.
        """
        smaller = support_changes.remove_model(
            self.support, model, kept_queries=self.provenance.split.train
        )
        return self._exchange_support(smaller, Change.now("remove_model", model=model))

    def forget_user(self, user: str) -> Self:
        """A new router without a user: queries, outcomes, prompts and what was learned of them.

        What training found by all outcomes together stays: weights, means and scales, which name
        nobody. Where it is saved in the place of an artifact, older versions are deleted, since
        they hold the user. See docs/people.md for what else there may be.

        Args:
            user: As the queries named them.

        Raises:
            DataError: The router knows no such user, or knows nobody else.

        Example:
            >>> import graphrouter as gr
            >>> from graphrouter.bench.simulate import simulate_people
            >>> data = simulate_people(num_queries=80, num_models=3, num_users=4).data
            >>> router = gr.GraphRouter.fit(data, instant=True)
            >>> "user-001" in router.forget_user("user-001").support.people.users
            False
        """
        rest, forgotten = support_changes.forget_user(self.support, user)
        changed = self._exchange_support(rest, Change.now("forget_user"))
        changed.provenance = changed.provenance.without(forgotten, rest)
        return changed

    def update_card(self, card: ModelCard) -> Self:
        """A new router with another card for a model of the pool; its outcomes stay.

        Raises:
            UnknownModelError: The pool has no model of that name.
        """
        support = support_changes.replace_card(self.support, card, self.encoder)
        changed = self._exchange_support(support, Change.now("update_card", model=card.model))
        if not np.array_equal(changed.pool.prices, self.pool.prices, equal_nan=True):
            changed._warn_of_idle_prices([card.model])
        return changed

    def set_price(
        self, model: str, *, input_usd_per_mtok: float, output_usd_per_mtok: float
    ) -> Self:
        """A new router that computes the cost of a model from other prices.

        Args:
            model: Name of a model of the pool.
            input_usd_per_mtok: US dollars per million prompt tokens.
            output_usd_per_mtok: US dollars per million completion tokens.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: A price is negative or not finite.
            NotApplicableError: The router has learned dollars without list prices, and what the
                model was billed came without one too: no price enters its cost.
        """
        if not self._reads_price(model):
            raise NotApplicableError(f"{model}: {_IDLE_PRICE}")
        prices = {
            "input_usd_per_mtok": input_usd_per_mtok,
            "output_usd_per_mtok": output_usd_per_mtok,
        }
        for name, price in prices.items():
            if price is None:
                raise DataError(
                    f"{name} is None; expected US dollars per million tokens. To forget a price "
                    "use update_card."
                )
        card = parse_card({**self.pool[model].model_dump(by_alias=True), **prices})
        return self._exchange_support(
            support_changes.replace_price(self.support, card),
            Change.now("set_price", model=model),
            keeps_state=True,  # the network does not read prices
        )
