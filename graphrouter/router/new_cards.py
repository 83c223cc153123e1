"""What is asked of the cards and outcomes of models that come into a pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphrouter.exceptions import DataError
from graphrouter.pool import ModelCard, ModelPool, find_alike
from graphrouter.siblings import warn_of_unread_efforts

if TYPE_CHECKING:
    import pandas as pd


def pool_with(pool: ModelPool, cards: Sequence[ModelCard]) -> ModelPool:
    """The pool with more models at its end.

    Raises:
        DataError: There is no card, something else than cards, or a name is in the pool already or
            on two of the cards, perhaps with other capitals or spaces.
    """
    if not isinstance(cards, Sequence) or isinstance(cards, str):
        raise DataError(
            f"add_models received a {type(cards).__name__}; expected a sequence of cards. For one "
            "use add_model."
        )
    if not cards:
        raise DataError("No card was given; expected at least one model to add.")
    names = []
    for card in cards:
        check_card(card)
        if card.model in pool.index:
            raise DataError(
                f"The pool has a model {card.model!r} already. Update its card, add outcomes to "
                "it, or choose another name."
            )
        if card.model in names:
            raise DataError(
                f"Two cards are named {card.model!r}; expected a name for each model. Rename one "
                "of them."
            )
        names.append(card.model)
    every = [*pool.names, *names]
    alike = [(i, place) for i, place in find_alike(every).items() if i >= len(pool)]
    if alike:
        i, place = alike[0]
        raise DataError(
            f"The name {every[i]!r} differs from {every[place]!r} by capitals or spaces alone; "
            "expected names that differ more. If it is the same model, update its card, or add "
            "outcomes to it."
        )
    warn_of_unread_efforts(card.parameters for card in cards)
    return pool.joined_by(cards)


def check_card(card: ModelCard) -> None:
    """Refuse what is no card.

    Raises:
        DataError: It is something else than a card.
    """
    if not isinstance(card, ModelCard):
        raise DataError(
            f"A {type(card).__name__} stands for a model; expected a "
            "graphrouter.ModelCard(model=...)."
        )


def check_frame(outcomes: pd.DataFrame) -> None:
    """Refuse outcomes that are no table.

    Raises:
        DataError: It is something else than a pandas frame.
    """
    if not hasattr(outcomes, "columns"):
        raise DataError(
            f"The outcomes are a {type(outcomes).__name__}; expected a pandas frame, one row an "
            "outcome."
        )


def read_outcomes_of(model: str, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Outcomes of one model, whose column `model` may be left out, with that column.

    Raises:
        DataError: They are no frame, break the contract, or some are of another model.
    """
    check_frame(outcomes)
    if "model" in outcomes.columns:
        from graphrouter.data.new_outcomes import read_new_outcomes  # needs pandas

        outcomes = read_new_outcomes(outcomes, "outcomes", models=[model])
        theirs = sorted(set(outcomes["model"]) - {model})
        if theirs:
            raise DataError(
                f"The outcomes are of {theirs[0]!r} too; expected outcomes of {model!r} alone."
            )
    return outcomes.assign(model=model)
