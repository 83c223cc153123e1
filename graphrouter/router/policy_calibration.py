"""The cheapest trade-off that keeps a promise, by graded queries that the router has not seen.

Learn then Test (Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test: Calibrating
Predictive Algorithms to Achieve Risk Control", Annals of Applied Statistics 19 (2025), arXiv
2110.01052), by fixed-sequence testing (section 2.3 there): the trade-offs are tested in an order
that the graded queries do not choose, from effect alone to cost alone, each at the full level, up
to the first that fails. The chance that one of those passed breaks the promise is then at most the
level, so any of them may be taken: the cheapest is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.exceptions import PromiseError
from graphrouter.policy import Policy
from graphrouter.router.graded_trade_offs import GradedTradeOffs, grade_trade_offs
from graphrouter.router.mean_tests import bet_on_means, compare_wins, estimate_num_values
from graphrouter.router.promise import Promise, Wish, say_reference, say_share
from graphrouter.types import BoolArray, FloatArray
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.router.pool_changes import ChangeableRouter

_TIE = 1e-12
"""Mean of what queries are above a promise, below which it is 0 but for rounding."""
_FINENESS = 200
"""Steps in which the lower bound of a share is looked for."""
_logger = logging.getLogger(__name__)


def calibrate_policy(
    router: ChangeableRouter,
    data: RoutingDataset,
    wish: Wish,
    *,
    within: Policy | None = None,
    task_known: bool = True,
) -> Promise:
    """The cheapest trade-off that keeps what is wished for; see `GraphRouter.calibrate_policy`."""
    graded = grade_trade_offs(router, data, wish, within=within, task_known=task_known)
    is_own = data.fingerprint == router.provenance.fingerprint
    if graded.num_ungraded or (graded.num_seen and not is_own):
        _logger.warning(
            "%r: of %d queries the router has learned from %d, and %d lack an outcome or cost that "
            "is needed; the promise rests on the other %d.",
            data.name,
            len(data.queries),
            graded.num_seen,
            graded.num_ungraded,
            len(graded),
        )
    return find_promise(graded, wish)


def find_promise(graded: GradedTradeOffs, wish: Wish) -> Promise:
    """The trade-off that keeps what is wished for: the cheapest; of a budget alone, the best.

    Raises:
        PromiseError: The queries do not support it; says how many do, as far as can be seen.
    """
    passed = np.ones(len(graded.policies), dtype=bool)
    if wish.keep is not None:
        passed &= _test_share(graded, wish)
    if wish.beats is not None:
        passed &= _test_wins(graded, wish)
    # Each trade-off has to pass all of its tests, and every trade-off before it too.
    passed = np.logical_and.accumulate(passed)
    if wish.max_mean_cost_usd is not None:
        affordable = _test_cost(graded, wish)
        if not (passed & affordable).any():
            raise PromiseError(
                f"The {count_of(len(graded), 'graded query', 'supports', 'support')} each "
                f"promise, but no "
                f"trade-off that "
                "keeps both: those that keep the effect cost more than "
                f"{wish.max_mean_cost_usd:g} USD a call. Ask for less of one, or grade more "
                "queries."
            )
        passed &= affordable
    means, costs = graded.effect.mean(axis=0), graded.cost_usd.mean(axis=0)
    by_cost = wish.keep is not None or wish.beats is not None
    order = np.lexsort((-means, costs) if by_cost else (costs, -means))
    best = int(next(i for i in order if passed[i]))
    wins, losses = (None, None) if wish.beats is None else _count_wins(graded, best)
    return Promise(
        policy=graded.policies[best],
        of=wish.of,
        reference=graded.reference,
        keep=wish.keep,
        share=_divide(float(means[best]), float(graded.reference_effect.mean())),
        share_low=None if wish.keep is None else _bound_share(graded, best, wish),
        mean_cost_usd=float(costs[best]),
        reference_cost_usd=float(graded.reference_cost_usd.mean()),
        max_mean_cost_usd=wish.max_mean_cost_usd,
        beats=wish.beats,
        num_wins=wins,
        num_losses=losses,
        confidence=wish.confidence,
        num_queries=len(graded),
        num_seen=graded.num_seen,
        num_ungraded=graded.num_ungraded,
        num_repeated=graded.num_repeated,
    )


def _test_share(graded: GradedTradeOffs, wish: Wish) -> BoolArray:
    """Which trade-offs are shown to keep the share, (num_trade_offs,)."""
    keep = float(wish.keep or 0)
    kept = graded.effect - keep * graded.reference_effect[:, None]
    found = bet_on_means(kept, -keep, error=wish.error) <= wish.error
    if found[0]:
        return np.asarray(found)
    share = _divide(float(graded.effect[:, 0].mean()), float(graded.reference_effect.mean()))
    raise _refuse(
        graded,
        f"the trade-off by effect alone reached {say_share(share)} of the effect of "
        f"{say_reference(graded.reference, wish.of)}, and {say_share(keep)} is to be kept",
        kept[:, 0],
        -keep,
        wish,
    )


def _test_wins(graded: GradedTradeOffs, wish: Wish) -> BoolArray:
    """Which trade-offs are shown to win as often as they lose, (num_trade_offs,)."""
    counts = [_count_wins(graded, i) for i in range(len(graded.policies))]
    found = np.array([compare_wins(*each) <= wish.error for each in counts])
    if found[0]:
        return found
    sign = np.sign(graded.effect[:, 0] - graded.rival_effect)
    wins, losses = counts[0]
    raise _refuse(
        graded,
        f"the trade-off by effect alone won {count_of(wins, 'time')} against {wish.beats} and lost "
        f"{count_of(losses, 'time')}",
        sign,
        -1.0,
        wish,
    )


def _test_cost(graded: GradedTradeOffs, wish: Wish) -> BoolArray:
    """Which trade-offs are shown to cost no more on average, (num_trade_offs,), the last first.

    A cost has no bound of its own. Of a call dearer than any that the router has learned from,
    what goes beyond that one does not count.
    """
    budget, dearest = float(wish.max_mean_cost_usd or 0), graded.dearest_usd
    if budget >= dearest:
        return np.ones(len(graded.policies), dtype=bool)
    if (graded.cost_usd > dearest).any():
        _logger.warning(
            "Some calls cost more than %g USD, the dearest that the router has learned from; what "
            "goes beyond is left out of the mean that is promised.",
            dearest,
        )
    left = (budget - np.minimum(graded.cost_usd, dearest)) / dearest
    low = budget / dearest - 1
    passed = bet_on_means(left, low, error=wish.error) <= wish.error
    if passed[-1]:
        return np.asarray(np.logical_and.accumulate(passed[::-1])[::-1])
    raise _refuse(
        graded,
        f"the cheapest trade-off cost {graded.cost_usd[:, -1].mean():.3g} USD a call, and at most "
        f"{budget:g} is to be spent",
        left[:, -1],
        low,
        wish,
    )


def _refuse(
    graded: GradedTradeOffs, what: str, values: FloatArray, low: float, wish: Wish
) -> PromiseError:
    """The error that says what the queries show and how many would be enough.

    Args:
        graded: The queries.
        what: What was seen, and what is to be promised.
        values: (num_queries,), by how much each query is above what is promised.
        low: Smallest such value possible.
        wish: What is to be promised.
    """
    sure = say_share(wish.confidence)
    num_queries = estimate_num_values(values, low, error=wish.error)
    if num_queries is None or abs(values.mean()) < _TIE:
        more = "They fall short of it themselves"
        if abs(values.mean()) < _TIE:
            more = "They meet it exactly, with nothing to spare"
        more, num_queries = f"{more}, so more need not show it either; ask for less", None
    else:
        num_queries = max(num_queries, len(graded) + 1)
        more = (
            f"To show it at a confidence of {sure} takes about "
            f"{count_of(num_queries, 'graded query')}; grade more, or ask for less"
        )
    shown = count_of(len(graded), "graded query", "does", "do")
    return PromiseError(
        f"The {shown} not support the promise: {what}. {more}.",
        num_queries=num_queries,
    )


def _bound_share(graded: GradedTradeOffs, column: int, wish: Wish) -> float:
    """Largest share that the trade-off is shown to keep, taken alone; at least `keep`."""
    keep, reached = float(wish.keep or 0), float(graded.effect[:, column].mean())
    most = _divide(reached, float(graded.reference_effect.mean()))
    if not most > keep:
        return keep
    shares = np.linspace(keep, most if np.isfinite(most) else 1.0, _FINENESS)[1:]
    kept = graded.effect[:, [column]] - shares * graded.reference_effect[:, None]
    shown = bet_on_means(kept, -shares, error=wish.error) <= wish.error
    return float(np.concatenate([[keep], shares])[np.logical_and.accumulate(shown).sum()])


def _count_wins(graded: GradedTradeOffs, column: int) -> tuple[int, int]:
    difference = graded.effect[:, column] - graded.rival_effect
    return int((difference > 0).sum()), int((difference < 0).sum())


def _divide(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
