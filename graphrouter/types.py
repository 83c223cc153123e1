"""Hand-offs between the parts: what routers are asked, and what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from graphrouter.exceptions import DataError
from graphrouter.notebook import render_table
from graphrouter.queries import Queries
from graphrouter.query_views import Embedding
from graphrouter.wording import count_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "QUANTITIES",
    "BoolArray",
    "Embedding",
    "FloatArray",
    "IntArray",
    "Predictions",
    "Quantity",
    "Queries",
    "name_queries",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Quantity = Literal["effect", "cost_usd", "input_tokens", "output_tokens", "latency_s"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
"""What is observed and predicted of a (query, model) pair, in the order of the array fields."""
_ENDS = ("effect_low", "effect_high")
_SPEEDS = ("ttft_s", "output_tokens_per_s")
_OPTIONAL = (*_ENDS, "most_input_tokens", "familiarity", *_SPEEDS)
_Known = dict[Quantity, FloatArray | None]
"""Arrays by name, None for those that are not given."""


@dataclass(frozen=True, slots=True, repr=False)
class QuantityArrays:
    """One array for each of `QUANTITIES`: what predictions, observed outcomes and means share.

    A row is a query, or a group of queries; a column is one of `models`. What NaN means is said by
    the classes that inherit: use one of those.
    """

    _row_word: ClassVar[str] = "num_queries"
    _of_rows: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that hold one value a row."""

    models: tuple[str, ...]
    """Names of the columns."""
    effect: FloatArray
    """(num_rows, num_models), in [0, 1]."""
    cost_usd: FloatArray
    """(num_rows, num_models), US dollars a call, >= 0."""
    input_tokens: FloatArray
    """(num_rows, num_models), prompt tokens, >= 0."""
    output_tokens: FloatArray
    """(num_rows, num_models), completion tokens, >= 0."""
    latency_s: FloatArray
    """(num_rows, num_models), seconds to the end of the answer, >= 0."""

    def __post_init__(self) -> None:
        shape = len(self), len(self.models)
        for name in self._filled:
            received = getattr(self, name).shape
            if received == shape and name not in self._of_rows:
                continue
            is_of_rows = name in self._of_rows
            expected = shape[: 1 if is_of_rows else 2]
            if received != expected:
                words = f"({self._row_word},{'' if is_of_rows else ' num_models'}) = {expected}"
                where = f"{type(self).__name__}.{name}"
                raise ValueError(f"{where} has shape {received}; expected {words}.")

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.effect.shape[0])

    def __repr__(self) -> str:
        known = [name for name in self._filled if np.isfinite(getattr(self, name)).any()]
        what = ", ".join(known) or "nothing known"
        return f"{type(self).__name__}({len(self)} x {count_of(len(self.models), 'model')}: {what})"

    @property
    def _filled(self) -> tuple[str, ...]:
        """Names of the array fields that hold an array."""
        return QUANTITIES

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts, which share their models and of which there is at least one."""
        if len(parts) == 1:
            return parts[0]
        shared = [name for name in parts[0]._filled if all(name in part._filled for part in parts)]
        fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in shared}
        return cls(models=parts[0].models, **fields)

    def take(self, *, rows: IntArray | None = None, columns: IntArray | None = None) -> Self:
        """Some of the rows and models, in the given order; all without a choice.

        Args:
            rows: Numbers of rows.
            columns: Numbers of models.

        Example:
            >>> effect = np.array([[0.4, 0.9], [0.2, 0.8]])
            >>> everybody = Predictions.from_arrays(("nano", "grand"), effect)
            >>> some = everybody.take(rows=np.array([1]), columns=np.array([1, 0]))
            >>> some.models, some.effect.tolist()
            (('grand', 'nano'), [[0.8, 0.2]])
        """
        chosen = np.arange(len(self)) if rows is None else rows
        order = np.arange(len(self.models)) if columns is None else columns
        fields = {
            name: getattr(self, name)[chosen if name in self._of_rows else np.ix_(chosen, order)]
            for name in self._filled
        }
        return type(self)(models=tuple(self.models[i] for i in order.tolist()), **fields)

    def at(self, row: int) -> Self:
        """One of the rows, as it lies in these arrays."""
        fields = {name: getattr(self, name)[row : row + 1] for name in self._filled}
        return type(self)(models=self.models, **fields)

    @classmethod
    def from_arrays(
        cls,
        models: tuple[str, ...],
        effect: FloatArray,
        *,
        cost_usd: FloatArray | None = None,
        input_tokens: FloatArray | None = None,
        output_tokens: FloatArray | None = None,
        latency_s: FloatArray | None = None,
    ) -> Self:
        """The given arrays; every quantity that is not given is NaN."""
        known: _Known = {
            "cost_usd": cost_usd,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "latency_s": latency_s,
        }
        return cls(models=models, effect=effect, **_fill_unknown(known, effect))


@dataclass(frozen=True, slots=True, repr=False)
class Predictions(QuantityArrays):
    """What a router expects of every (query, model) pair.

    Rows are queries in the order asked, columns are `models`. NaN means "cannot be predicted",
    never "free": a router trained without costs and tokens has NaN in `cost_usd`.

    Example:
        >>> predictions = Predictions.from_arrays(("nano", "grand"), np.array([[0.4, 0.9]]))
        >>> len(predictions), predictions.models[int(predictions.effect[0].argmax())]
        (1, 'grand')
        >>> bool(np.isnan(predictions.cost_usd).all())
        True
    """

    _of_rows: ClassVar[tuple[str, ...]] = ("familiarity",)

    effect_low: FloatArray | None = None
    """(num_queries, num_models), lower end of an 80 % interval of the expected effect, in [0,
    `effect`]: of what the model achieves on average on queries like this one, not of a single
    outcome. None for a router that gives no intervals."""
    effect_high: FloatArray | None = None
    """(num_queries, num_models), upper end of the same interval, in [`effect`, 1]; None with
    `effect_low`."""
    most_input_tokens: FloatArray | None = None
    """(num_queries, num_models), cautious end of `input_tokens`, >= it: nine of ten prompts have no
    more. Limits of the context are held against it. None for a router that gives none."""
    familiarity: FloatArray | None = None
    """(num_queries,) share of solved prompts that are no nearer to others: near 0 for a prompt like
    none seen. None for a router that does not tell."""
    ttft_s: FloatArray | None = None
    """(num_queries, num_models), expected seconds to the first token, > 0; NaN for a model of which
    none were logged, None for a router without any."""
    output_tokens_per_s: FloatArray | None = None
    """(num_queries, num_models), expected output tokens a second after the first, > 0; NaN and None
    as of `ttft_s`."""

    def __post_init__(self) -> None:
        # By name: a dataclass with slots is built anew, so super() would miss it.
        QuantityArrays.__post_init__(self)
        if (self.effect_low is None) != (self.effect_high is None):
            raise ValueError(
                "Predictions has one end of the interval of effect; expected both, or none."
            )

    @property
    def _filled(self) -> tuple[str, ...]:
        return (*QUANTITIES, *(name for name in _OPTIONAL if getattr(self, name) is not None))

    def _repr_html_(self) -> str:
        means = self.to_frame().drop(columns="query_id").groupby("model", sort=False).mean()
        rows = means.reset_index().itertuples(index=False)
        return render_table(f"{self!r}, means", ("model", *means.columns), rows)

    def to_frame(self, query_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """One row a (query, model) pair, query by query; NaN where nothing can be predicted.

        Columns: `query_id`, `model`, `effect`, `effect_low`, `effect_high`, `cost_usd`,
        `input_tokens`, `output_tokens`, `latency_s`, then `ttft_s` and `output_tokens_per_s` where
        they were logged, and `familiarity`, which is the same in all rows of a query. Queries
        without ids are numbered from 1.

        Raises:
            DataError: There is not one id a query.

        Example:
            >>> predictions = Predictions.from_arrays(("nano", "grand"), np.array([[0.4, 0.9]]))
            >>> predictions.to_frame()["effect"].tolist()
            [0.4, 0.9]
        """
        import pandas as pd  # here, so that what decides alone need not load it

        ids = name_queries(query_ids, len(self))
        effect, *others = QUANTITIES
        unknown = np.full(self.effect.shape, np.nan)
        logged = [name for name in _SPEEDS if getattr(self, name) is not None]
        columns = {name: getattr(self, name) for name in (effect, *_ENDS, *others, *logged)}
        of_query = np.full(len(self), np.nan) if self.familiarity is None else self.familiarity
        return pd.DataFrame(
            {
                "query_id": pd.Series(
                    np.repeat(np.array(ids, object), len(self.models)), dtype="str"
                ),
                "model": pd.Series(list(self.models) * len(self), dtype="str"),
                **{k: (unknown if v is None else v).ravel() for k, v in columns.items()},
                "familiarity": np.repeat(of_query, len(self.models)),
            }
        )

    @classmethod
    def from_arrays(
        cls,
        models: tuple[str, ...],
        effect: FloatArray,
        *,
        cost_usd: FloatArray | None = None,
        input_tokens: FloatArray | None = None,
        output_tokens: FloatArray | None = None,
        latency_s: FloatArray | None = None,
        effect_low: FloatArray | None = None,
        effect_high: FloatArray | None = None,
        familiarity: FloatArray | None = None,
    ) -> Self:
        """Predictions from `effect` and whatever else is known.

        Every other quantity is NaN, the rest None.
        """
        known: _Known = {
            "cost_usd": cost_usd,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "latency_s": latency_s,
        }
        return cls(
            models=models,
            effect=effect,
            **_fill_unknown(known, effect),
            effect_low=effect_low,
            effect_high=effect_high,
            familiarity=familiarity,
        )


def _fill_unknown(known: _Known, effect: FloatArray) -> dict[str, FloatArray]:
    """The arrays by name, all NaN where none is given. By name, so that no order is to be kept."""
    return {
        name: np.full(effect.shape, np.nan) if values is None else values
        for name, values in known.items()
    }


def name_queries(query_ids: Sequence[str] | None, num_queries: int) -> list[str]:
    """An id for each query, numbered from 1 where none are given.

    Raises:
        DataError: There is not one id a query.

    Example:
        >>> name_queries(None, 2), name_queries(["a", "b"], 2)
        (['1', '2'], ['a', 'b'])
    """
    if query_ids is None:
        return [str(i + 1) for i in range(num_queries)]
    if isinstance(query_ids, str) or len(query_ids) != num_queries:
        raise DataError(
            f"query_ids has {count_of(len(query_ids), 'entry')} for "
            f"{count_of(num_queries, 'query')}; expected a sequence with one id a query."
        )
    return list(query_ids)
