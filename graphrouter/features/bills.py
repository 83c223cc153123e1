"""What recorded dollars say of a model beside its tokens and its list price.

A bill need not be tokens times price: discounts for cached prompts, hidden reasoning, hardware of
one's own. `Bills` learns by how much, from the outcomes of the support, in closed form: a newcomer
has it as soon as it has outcomes, and nothing is trained again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphrouter.artifact_tables import Table
from graphrouter.data.positions import find_positions
from graphrouter.features.channels import (
    PRICE_COLUMNS,
    SPEND,
    ChannelScaler,
    OutcomeColumns,
    SpendUnit,
    Tariff,
    read_columns,
)
from graphrouter.features.suspect_zeros import SUSPECT_COLUMNS, hide_suspect_zeros
from graphrouter.types import BoolArray, FloatArray, IntArray
from graphrouter.wording import count_of

LISTED, PLAIN = range(2)
"""Outcomes recorded while the model had a list price above 0, and the others."""
_ROW_VARIANCE = 0.25
"""Of one bill's ratio to what was computed; counts as much as one outcome."""
_WORTH_SAYING = np.log(1.1)
"""Of the logarithm of a ratio; below it tokens and price explain the bill."""
_MOST_IN_CHANNEL = 2.0
"""Of the logarithm of a bill over the price of a typical call: what is beyond would be drawn to
what the models of such cards cost."""
_PRICE_SHAPE = 4.0
"""Price of an output token over that of an input token, where no model of the pool has both."""
_HIDDEN = "num_hidden."


@dataclass(frozen=True, eq=False)
class Bills:
    """What the recorded dollars of M models say, in two groups: `LISTED` and `PLAIN` outcomes.

    A model has a ratio of bill to list price, 1 as far as tokens and price explain the bill; a new
    price is multiplied by it. A model that was billed without a list price (none is known, or it is
    0) is charged what its calls came to, until it has one. Zeros that cannot be meant are left out,
    see `hide_suspect_zeros`; costs of 0 beside a list price do not make a model free.
    """

    scaler: ChannelScaler
    models: tuple[str, ...]
    old_models: frozenset[str]
    """Those that came with an older artifact: read as they were, by list prices alone."""
    nominal: FloatArray
    """(2,) prices that stand in for those that `PLAIN` outcomes lack."""
    by_tokens: FloatArray
    """(2, M) logarithm of bill over tokens times price; NaN where no bill tells."""
    by_dollars: FloatArray
    """(2, M) logarithm of the typical bill over the price of a typical call, as far as the spend
    channel does not hold that itself; NaN where no bill tells."""
    reads_dollars: BoolArray
    """(M,) whether the spend of a model is read from its dollars though that of others is tokens,
    since most of its bills came without tokens."""
    list_then: FloatArray
    """(2, M) mean list prices of its outcomes that had one; NaN without any."""
    has_computed: BoolArray
    """(M,) models some of whose outcomes have tokens and a list price."""
    num_billed: IntArray
    """(M,) outcomes with a cost above 0."""
    num_zero: IntArray
    """(M,) outcomes with a cost of 0."""
    num_hidden: dict[str, IntArray]
    """(M,) zeros that are left out, by column."""
    mean_usd: FloatArray
    """(M,) mean of the costs above 0; NaN without any."""

    @classmethod
    def read(
        cls,
        outcomes: Table,
        models: Sequence[str],
        scaler: ChannelScaler,
        *,
        old_models: Collection[str] = (),
        shown: Table | None = None,
        model: IntArray | None = None,
    ) -> Bills:
        """What outcomes say.

        Args:
            outcomes: Of these models, as in `ChannelScaler`.
            models: Their names.
            scaler: Fitted on training rows.
            old_models: Those of an older artifact of which no outcome has come since.
            shown: The outcomes after `hide_suspect_zeros`, where that is done already.
            model: (N,) position of each outcome's model, where that is known already.
        """
        unit = scaler.spend_unit
        shown = hide_suspect_zeros(outcomes, trusted=old_models) if shown is None else shown
        nominal = _find_nominal_prices(np.stack(read_columns(outcomes, *PRICE_COLUMNS)))
        rows = _Rows.of(shown, models, nominal, model)
        billed = rows.cost > 0
        by_dollars = rows.average(billed, rows.compare_with_typical(rows.cost, billed, scaler))
        count = rows.add_up(billed)
        if unit is SpendUnit.TOKENS:
            chance = scaler.scale[SPEND] ** 2 / np.maximum(count[LISTED], 1)
            by_dollars[LISTED] = shrink_log_ratio(by_dollars[LISTED], chance)
        elif unit is SpendUnit.PRICE:
            by_dollars[LISTED] -= by_dollars[LISTED].clip(-_MOST_IN_CHANNEL, _MOST_IN_CHANNEL)
        else:
            by_dollars *= 0.0
        num_billed = count.sum(axis=0)
        with_tokens = rows.add_up(billed & np.isfinite(rows.computed)).sum(axis=0)
        listed = rows.group == LISTED
        return cls(
            scaler=scaler,
            models=tuple(models),
            old_models=frozenset(old_models),
            nominal=nominal,
            by_tokens=rows.compare(billed & (rows.computed > 0)),
            by_dollars=by_dollars,
            reads_dollars=(unit is SpendUnit.TOKENS)
            & (2 * with_tokens < num_billed)
            & ~np.isin(np.array(models, dtype=object), list(old_models)),
            list_then=np.stack([rows.average(listed, price)[LISTED] for price in rows.prices]),
            has_computed=rows.add_up(rows.computed > 0)[LISTED] > 0,
            num_billed=num_billed.astype(np.int64),
            num_zero=rows.count_all(read_columns(outcomes, "cost_usd")[0] == 0),
            num_hidden={
                name: rows.count_all(~np.isnan(before) & np.isnan(after))
                for name, before, after in zip(
                    SUSPECT_COLUMNS,
                    read_columns(outcomes, *SUSPECT_COLUMNS),
                    read_columns(shown, *SUSPECT_COLUMNS),
                    strict=True,
                )
            },
            mean_usd=rows.add_up(billed, rows.cost).sum(axis=0)
            / np.where(num_billed > 0, num_billed, np.nan),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What was found in the outcomes by name, for `from_arrays`."""
        found = {name: part for name, part in vars(self).items() if isinstance(part, np.ndarray)}
        return found | {f"{_HIDDEN}{name}": count for name, count in self.num_hidden.items()}

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        models: Sequence[str],
        scaler: ChannelScaler,
        old_models: Collection[str] = (),
    ) -> Bills:
        """The bills of `to_arrays`; arguments as in `read`.

        Raises:
            TypeError: An array is missing, or one too many is there.
            ValueError: One is of another number of models.
        """
        if any(part.shape[-1:] not in ((len(models),), (2,)) for part in arrays.values()):
            raise ValueError(f"what is said of bills is not of {len(models)} models")
        hidden = {k.removeprefix(_HIDDEN): n for k, n in arrays.items() if k.startswith(_HIDDEN)}
        found: Any = {name: part for name, part in arrays.items() if not name.startswith(_HIDDEN)}
        return cls(scaler, tuple(models), frozenset(old_models), num_hidden=hidden, **found)

    def encode(self, outcomes: OutcomeColumns, model: IntArray | None = None) -> FloatArray:
        """Channels of outcomes of these models: (NUM_CHANNELS, num_outcomes), NaN = not observed.

        As `ChannelScaler.encode`; but where the spend of a model is read from dollars, it counts
        from the model's typical bill.

        Args:
            outcomes: After `hide_suspect_zeros`.
            model: As in `read`.
        """
        unit = self.scaler.spend_unit
        channels = self.scaler.encode(outcomes)
        rows = _Rows.of(outcomes, self.models, self.nominal, model)
        usd = rows.cost
        if unit is not SpendUnit.TOKENS:  # what was not billed, but has tokens and a price
            listed_usd = rows.computed * np.exp(np.nan_to_num(self.by_tokens[LISTED]))[rows.model]
            usd = np.where(usd > 0, usd, np.where(rows.group == LISTED, listed_usd, np.nan))
        usd = np.where(usd > 0, usd, np.nan)
        relative = rows.compare_with_typical(usd, usd > 0, self.scaler)
        relative = relative - np.nan_to_num(self.by_dollars)[rows.group, rows.model]
        chosen = self.reads_dollars if unit is SpendUnit.TOKENS else ~self.reads_dollars
        by_dollars = (chosen & ~self._is_old)[rows.model] & (unit is not SpendUnit.NONE)
        channels[SPEND] = np.where(by_dollars, relative / self.scaler.scale[SPEND], channels[SPEND])
        return channels

    def charge(self, prices: FloatArray) -> Tariff:
        """What the models charge when these are their list prices.

        Args:
            prices: (2, M) input and output US dollars per million tokens, NaN = not known.
        """
        unit = self.scaler.spend_unit
        by_list = Tariff.of_list_prices(unit, prices)
        in_tokens = (unit is SpendUnit.TOKENS) & ~self.reads_dollars
        log_ratio = np.where(in_tokens, self.by_tokens, self.by_dollars)
        has_price, is_zero = prices.sum(axis=0) > 0, prices.sum(axis=0) == 0
        is_plain = ~has_price & np.isfinite(log_ratio[PLAIN])
        is_free = ~has_price & ~is_plain & (is_zero | self._was_free)
        has_lost_price = ~has_price & ~is_plain & ~is_free
        choices = [is_plain, is_free, has_lost_price]
        stand_ins = [self.nominal[:, None], np.zeros((2, 1)), self.list_then]
        prices = np.select(choices, stand_ins, prices)
        ratio = np.exp(np.nan_to_num(np.where(is_plain, log_ratio[PLAIN], log_ratio[LISTED])))
        by_call = self.scaler.price_typical_call(prices) * ratio
        input_usd, spend_usd = np.where(
            in_tokens,
            prices * ratio / 1e6,
            np.stack([0 * ratio, by_call / np.exp(self.scaler.mean[SPEND])]),
        )
        if unit is SpendUnit.USD:  # a change since is all that a list price says of dollars
            change = np.where(has_price, prices.sum(axis=0) / self.list_then.sum(axis=0), 1.0)
            known = np.isfinite(self.by_dollars).any(axis=0) | self.has_computed
            spend_usd = np.where(known, np.nan_to_num(change, nan=1.0), np.nan)
        spend_usd = np.where(is_free, 0.0, np.nan if unit is SpendUnit.NONE else spend_usd)
        # Nominal prices say nothing of what a longer prompt costs.
        holds_prompt = self.holds_prompt & (unit is not SpendUnit.USD) & ~is_plain
        mine = Tariff(
            input_usd=np.where(is_free, 0.0, input_usd),
            spend_usd=spend_usd,
            counts_tokens=by_list.counts_tokens & in_tokens,
            beyond_usd=np.where(holds_prompt, prices[0] * ratio / 1e6, 0.0),
        )
        either = (np.where(self._is_old, *pair) for pair in zip(by_list[:4], mine[:4], strict=True))
        return Tariff._make((*either, None, None))

    def describe(self, prices: FloatArray) -> dict[str, tuple[str, ...]]:
        """What is corrected and left out of each model, in words; models without are absent.

        Args:
            prices: As in `charge`.
        """
        tariff = self.charge(prices)
        found = {
            name: tuple(self._describe(i, prices, tariff)) for i, name in enumerate(self.models)
        }
        return {name: said for name, said in found.items() if said}

    def _describe(self, i: int, prices: FloatArray, tariff: Tariff) -> Iterator[str]:
        if self._is_old[i]:
            return
        num_billed, num_zero = int(self.num_billed[i]), int(self.num_zero[i])
        has_price = prices[:, i].sum() > 0
        log_ratio = self.by_dollars if self.reads_dollars[i] else self.by_tokens
        if has_price and np.abs(log_ratio[LISTED, i]) > _WORTH_SAYING:
            ratio = np.exp(log_ratio[LISTED, i])
            yield f"billed {ratio:.3g} x list price ({count_of(num_billed, 'outcome')})"
        elif not has_price and num_billed and tariff.spend_usd[i] > 0:
            yield (
                f"billed {self.mean_usd[i]:.3g} USD a call without a list price "
                f"({count_of(num_billed, 'outcome')}): that is charged"
            )
        if num_zero and not num_billed and not self._was_free[i]:
            yield (
                f"all {num_zero:,} costs are 0 beside a list price: the list price is charged; "
                "set it to 0 if the model is free"
            )
        for column, count in self.num_hidden.items():
            if count[i]:
                yield f"{column} of 0 is left out: {count_of(count[i], 'outcome')}"
        if np.isnan(tariff.spend_usd[i]) and self.scaler.spend_unit is not SpendUnit.NONE:
            lacking = np.array(PRICE_COLUMNS)[np.isnan(prices[:, i])]
            price = lacking[0] if len(lacking) == 1 else "a list price"
            if self.scaler.spend_unit is SpendUnit.USD:
                yield (
                    "cost unknown: no bill, and in this pool dollars are learned from bills alone"
                    + (", not from its list price" if has_price else "")
                )
            else:
                yield f"cost unknown: neither {price} nor a bill"

    @property
    def holds_prompt(self) -> BoolArray:
        """(M,) models whose spend is that of the whole call, its prompt included."""
        by_unit = self.scaler.spend_unit in (SpendUnit.PRICE, SpendUnit.USD)
        return (self.reads_dollars | by_unit) & ~self._is_old

    @property
    def _is_old(self) -> BoolArray:
        """(M,)."""
        return np.array([name in self.old_models for name in self.models], dtype=bool)

    @property
    def _was_free(self) -> BoolArray:
        """(M,) models all of whose costs are 0, recorded without a list price."""
        free: BoolArray = (self.num_zero > 0) & (self.num_billed == 0) & np.isnan(self.list_then[0])
        return free


class _Rows(NamedTuple):
    """Outcomes as what they were billed and what tokens and prices come to. N rows, M models."""

    num_models: int
    model: IntArray
    """(N,) position."""
    cost: FloatArray
    """(N,) US dollars; NaN = not recorded."""
    prices: FloatArray
    """(2, N) list prices when it was recorded; nominal ones for rows of the group `PLAIN`."""
    computed: FloatArray
    """(N,) US dollars by tokens and prices; NaN where tokens were not recorded."""
    group: IntArray
    """(N,) `LISTED` or `PLAIN`."""

    @classmethod
    def of(
        cls,
        outcomes: OutcomeColumns,
        models: Sequence[str],
        nominal: FloatArray,
        model: IntArray | None,
    ) -> _Rows:
        """The rows of outcomes of these models; `nominal` is (2,) prices."""
        cost, prompt, answer = read_columns(outcomes, "cost_usd", "input_tokens", "output_tokens")
        prices = np.stack(read_columns(outcomes, *PRICE_COLUMNS))
        group = np.where(prices.sum(axis=0) > 0, LISTED, PLAIN)
        prices = np.where(group == LISTED, prices, nominal[:, None])
        model = find_positions(outcomes["model"], models) if model is None else model
        computed = (prompt * prices[0] + answer * prices[1]) / 1e6
        return cls(len(models), model, cost, prices, computed, group)

    def add_up(self, rows: BoolArray, values: FloatArray | None = None) -> FloatArray:
        """Sum of values (N,), or number, of the rows of each group of each model: (2, M)."""
        cell = self.group[rows] * self.num_models + self.model[rows]
        weights = None if values is None else values[rows]
        total = np.bincount(cell, weights, minlength=2 * self.num_models)
        return total.reshape(2, -1).astype(np.float64)

    def count_all(self, rows: BoolArray) -> IntArray:
        """Number of the rows of each model: (M,)."""
        count: IntArray = self.add_up(rows).sum(axis=0).astype(np.int64)
        return count

    def average(self, rows: BoolArray, values: FloatArray) -> FloatArray:
        """Mean of values (N,) over the rows of each group of each model: (2, M), NaN for none."""
        count = self.add_up(rows)
        return self.add_up(rows, values) / np.where(count > 0, count, np.nan)

    def compare_with_typical(
        self, usd: FloatArray, rows: BoolArray, scaler: ChannelScaler
    ) -> FloatArray:
        """Logarithm of dollars (N,) over the price of a typical call; NaN outside of `rows`.

        NaN too where no call is typical, since nothing was spent in training.
        """
        typical = scaler.price_typical_call(self.prices)
        rows = rows & (typical > 0)
        return np.log(np.where(rows, usd, np.nan) / np.where(rows, typical, np.nan))

    def compare(self, rows: BoolArray) -> FloatArray:
        """Logarithm of all that was billed over all that was computed: (2, M), NaN without rows.

        With a list price, shrunk to 0 as far as a mean of so many bills varies by chance.
        """
        count, scale = self.add_up(rows), self.average(rows, self.computed)
        ratio = self.average(rows, self.cost) / np.where(scale > 0, scale, np.nan)
        expected = ratio[self.group, self.model] * self.computed
        # Divided before it is squared: the square of a tiny cost is 0.
        missed = (self.cost - expected) / (ratio * scale)[self.group, self.model]
        spread = self.average(rows, missed**2)
        variance = (count * spread + _ROW_VARIANCE) / (count + 1) / np.maximum(count, 1)
        log_ratio = np.log(ratio)
        return np.stack([shrink_log_ratio(log_ratio[LISTED], variance[LISTED]), log_ratio[PLAIN]])


def shrink_log_ratio(log_ratio: FloatArray, variance: FloatArray) -> FloatArray:
    """Logarithms of ratios drawn to 0 (James and Stein, 1961), any shape; NaN stays.

    The prior around 0 has the variance that makes what was seen likeliest. So what chance explains
    goes, and a ratio far from 1 stays as it is.
    """
    square = np.square(log_ratio)
    excess = np.maximum(square - variance, 0.0)
    return log_ratio * np.divide(excess, square, where=square > 0, out=np.zeros_like(square))


def _find_nominal_prices(prices: FloatArray) -> FloatArray:
    """Prices (2,) to count tokens with where there is no list price, in the shape of the pool's.

    Args:
        prices: (2, n) list prices, NaN = not known.
    """
    both = (prices > 0).all(axis=0)
    shapes = np.sort(prices[1, both] / prices[0, both])
    # The median, whose first call in NumPy loads masked arrays.
    middle = shapes[[(len(shapes) - 1) // 2, len(shapes) // 2]] if both.any() else _PRICE_SHAPE
    return np.array([1.0, float(np.mean(middle))])
