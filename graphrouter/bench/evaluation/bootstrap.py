"""Paired percentile bootstrap over queries (Efron, 1979): how much of a figure is luck.

All figures are functions of sums over queries, so a draw only changes how often each query counts.
The same seed gives the same draws to every router, which is what makes differences paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from graphrouter.files import to_plain
from graphrouter.types import FloatArray

CONFIDENCE = 0.95
LARGEST_UNDEFINED_SHARE = 0.025
"""An interval with more undefined draws than this is itself undefined: it would hide the bad
draws."""
_DRAWS_AT_ONCE = 100


class Interval(NamedTuple):
    """A figure with its 95 % bootstrap interval; NaN where undefined."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True when both ends are known and lie on the same side of zero."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, float | None]:
        """Plain values for `json.dumps`: `value`, `low` and `high`; None where undefined."""
        return {name: to_plain(each) for name, each in self._asdict().items()}


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class Statistic:
    """A figure that depends on the queries through sums alone."""

    parts: FloatArray
    """(num_queries, num_parts) what each query adds; no NaN."""
    finish: Callable[[FloatArray], FloatArray]
    """From sums (num_draws, num_parts) to the figure of each draw, (num_draws,); NaN where
    undefined."""


class Sampled(NamedTuple):
    """A figure on all queries and on each draw."""

    value: float
    draws: FloatArray
    """(num_draws,)."""

    def interval(self) -> Interval:
        """The figure with its percentile interval."""
        return _interval(self.value, self.draws)

    def minus(self, other: Sampled) -> Interval:
        """The paired difference with its percentile interval."""
        return _interval(self.value - other.value, self.draws - other.draws)


@dataclass(frozen=True)
class Resampling:
    """Draws of queries with replacement, the same for everything that is measured on them.

    Several evaluation sets, one a split, may share queries. They are drawn together: a query that
    stands in two of them counts as often in the one as in the other. Drawn apart, they would look
    more independent than they are and the intervals come out too narrow.
    """

    query_ids: tuple[tuple[str, ...], ...]
    """The queries of each evaluation set, in the order of its rows."""
    num_draws: int = 1000
    """0 gives undefined intervals."""
    seed: int = 0

    def counts(self, evaluation_set: int) -> Iterator[FloatArray]:
        """How often each query of an evaluation set counts in each draw.

        In blocks (up to 100, num_queries), so that memory stays small.
        """
        everyone = sorted({query for ids in self.query_ids for query in ids})
        position = {query: i for i, query in enumerate(everyone)}
        columns = np.array(
            [position[query] for query in self.query_ids[evaluation_set]], dtype=np.int64
        )
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.num_draws, _DRAWS_AT_ONCE):
            size = min(_DRAWS_AT_ONCE, self.num_draws - start)
            block: FloatArray = np.empty((size, len(columns)))
            for row in range(size):
                drawn = np.bincount(
                    rng.integers(len(everyone), size=len(everyone)), minlength=len(everyone)
                )
                block[row] = drawn[columns]
            yield block


def bootstrap(statistics: Sequence[Statistic], counts: Iterable[FloatArray]) -> list[Sampled]:
    """Value and draws of each statistic, all over the same resampled queries.

    Args:
        statistics: Figures over the same queries; statistics may share one `parts` array, which is
            then summed once.
        counts: How often each query counts in each draw, in blocks (num_draws, num_queries); see
            `Resampling`.
    """
    if not statistics:
        return []
    parts = {id(statistic.parts): statistic.parts for statistic in statistics}
    # One wide matrix: a single product a block is many times faster than one for each statistic.
    ends = np.cumsum([values.shape[1] for values in parts.values()])
    columns = {
        key: slice(end - parts[key].shape[1], end) for key, end in zip(parts, ends, strict=True)
    }
    wide = np.hstack(list(parts.values()))
    sums = np.vstack([wide.sum(axis=0), *(block @ wide for block in counts)])
    sampled = []
    for statistic in statistics:
        figures = statistic.finish(sums[:, columns[id(statistic.parts)]])
        sampled.append(Sampled(float(figures[0]), figures[1:]))
    return sampled


def average(samples: Sequence[Sampled]) -> Sampled:
    """The mean of a figure over evaluation sets, on all queries and on each draw.

    NaN where an evaluation set does not determine it.
    """
    return Sampled(
        float(np.mean([s.value for s in samples])), np.mean([s.draws for s in samples], axis=0)
    )


def _interval(value: float, draws: FloatArray) -> Interval:
    known = draws[np.isfinite(draws)]
    if (
        not np.isfinite(value)
        or known.size == 0
        or 1 - known.size / draws.size > LARGEST_UNDEFINED_SHARE
    ):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high))
