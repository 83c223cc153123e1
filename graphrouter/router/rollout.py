"""Many queries at once, each asked of one model after the other while that is worth it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from graphrouter.grades import believe
from graphrouter.router.lookahead import Hand, Stakes, look_ahead
from graphrouter.router.outcome_covariance import condition, to_chance
from graphrouter.types import BoolArray, FloatArray, IntArray

GradeAnswers = Callable[[IntArray, IntArray], tuple[FloatArray, FloatArray, FloatArray]]
"""(n,) rows and (n,) columns of answers to their grades, hit rates and false alarm rates, (n,)."""


class Rollout(NamedTuple):
    """What was called, and which answer was kept, on each of B queries. M models."""

    called: BoolArray
    """(B, M)."""
    graded: BoolArray
    """(B, M) whose answer a judge looked at."""
    answer: IntArray
    """(B,) column of the model whose answer is kept; -1 where nobody may be asked."""


def roll_out(
    logit: FloatArray,
    covariance: FloatArray,
    stakes: Stakes,
    grade: GradeAnswers,
    *,
    max_calls: int,
) -> Rollout:
    """Ask, look, and go on or stop, on every query by itself.

    Args:
        logit: (B, M) effect logits with nothing told.
        covariance: (M, M) from `estimate_covariance`.
        stakes: Of the B queries.
        grade: What the judge says of answers; it is called once a round.
        max_calls: Most calls a query, >= 1.
    """
    num = len(logit)
    called = np.zeros(logit.shape, dtype=bool)
    graded, answer = called.copy(), np.full(num, -1, dtype=np.int64)
    column = np.zeros((num, 0), dtype=np.int64)
    seen = np.zeros((3, num, 0))  # effects, hit rates, false alarm rates
    going = np.arange(num)
    for left in range(max_calls, 0, -1):
        told = condition(logit[going], covariance, column, *seen)
        in_hand = believe(told.cavity, *seen)
        best = np.full(len(going), -np.inf)
        if column.shape[1]:
            best = in_hand.max(axis=1)
            answer[going] = np.take_along_axis(column, in_hand.argmax(axis=1)[:, None], axis=1)[
                :, 0
            ]
        price = np.where(called[going], np.inf, stakes.price[going])
        hand = Hand(column, (seen[0], seen[1], seen[2]))
        outlook = look_ahead(told, covariance, hand, stakes._replace(price=price), num_calls=left)
        first = outlook.value.argmax(axis=1)[:, None]
        model, looks = (
            np.take_along_axis(each, first, axis=1)[:, 0]
            for each in (outlook.candidate, outlook.is_graded)
        )
        goes_on = outlook.value.max(axis=1) > outlook.stop
        rows, model, looks = going[goes_on], model[goes_on], looks[goes_on]
        called[rows, model], graded[rows[looks], model[looks]] = True, True
        promised = to_chance(told.logit[goes_on, model])
        is_kept = ~looks & ~(promised <= best[goes_on])
        answer[rows[is_kept]] = model[is_kept]
        going = rows[looks]
        if not len(going):
            break
        said = np.stack(grade(going, model[looks]))
        column = np.column_stack([column[goes_on][looks], model[looks]])
        seen = np.concatenate([seen[:, goes_on][:, looks], said[:, :, None]], axis=2)
    else:
        told = condition(logit[going], covariance, column, *seen)
        in_hand = believe(told.cavity, *seen)
        answer[going] = np.take_along_axis(column, in_hand.argmax(axis=1)[:, None], axis=1)[:, 0]
    return Rollout(called, graded, answer)
