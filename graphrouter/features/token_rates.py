"""Tokens of prompts by their characters, counted by kind.

What a tokenizer makes of a text follows from the kinds of its characters, and what a caller sends
beside the text is a number a task. The same for training and serving.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphrouter.types import FloatArray, IntArray

KINDS = ("letters", "capitals", "digits", "marks", "gaps", "padding", "cjk", "other")
"""Latin letters; A to Z; digits; punctuation and code; white space, and that after other white
space; Chinese, Japanese and Korean; the rest."""
NUM_KINDS = len(KINDS)
_GAP = KINDS.index("gaps")
_RANGES = {
    "marks": [(0x00, 0x7F), (0x80, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7), (0x2000, 0x206F)],
    "letters": [(0x41, 0x5A), (0x61, 0x7A), (0xAA, 0xAA), (0xBA, 0xBA), (0xC0, 0xD6), (0xD8, 0xF6),
                (0xF8, 0x24F), (0x1E00, 0x1EFF)],
    "capitals": [(0x41, 0x5A)],
    "digits": [(0x30, 0x39)],
    "gaps": [(0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x2000, 0x200A),
             (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)],
    "cjk": [(0x1100, 0x11FF), (0x2E80, 0x2FFF), (0x3001, 0x9FFF), (0xAC00, 0xD7FF),
            (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF)],
}  # fmt: skip
"""First and last code point; a later entry overrules an earlier one."""
_TAKE_OVER = 4.0  # of a prompt a third longer than usual the rates say all
_Z_90 = 1.2815515655446004
PRIOR_RATES = np.array([0.21, 0.35, 0.5, 0.75, 0.3, 0.1, 1.0, 0.7])
"""Tokens a character of each of `KINDS` where nothing was counted. English comes out at 4.2
characters a token (OpenAI's help pages say about 4), code at about 3. A Chinese character took 1.03
tokens of cl100k_base and 0.73 of o200k_base in OpenAI's example of May 2024; DeepSeek counts 0.6,
tokenizers made for English count 1 to 2. Digits come one to three a token. Other scripts: from 0.4
(Cyrillic) to more than 1 (Devanagari, emoji)."""
_PRIOR_DOUBT = np.array([0.25, 0.5, 0.5, 0.3, 0.5, 1.0, 0.35, 0.5])
"""Standard deviation of the same between tokenizers and texts, as a share."""
_MODEL_DOUBT = 0.15
"""Standard deviation of a model's rates around the pool's times its ratio, as a share."""
_RATIO_DOUBT = 0.3
_RATIO_ROUNDS = 3
_MOST_ROWS = 1000
"""Of a model; more would say the rates no better."""
_TEMPLATE_TOKENS = 10.0


def count_chars(prompts: Sequence[str]) -> NDArray[np.float32]:
    """Characters of each prompt by kind: (num_prompts, NUM_KINDS), in the order of `KINDS`.

    Example:
        >>> count_chars(["x = 10;  你好"])[0].astype(int).tolist()
        [1, 0, 2, 2, 3, 1, 2, 0]
    """
    counts, kind_of = np.zeros((len(prompts), NUM_KINDS), dtype=np.float32), _tabulate_kinds()
    for row, prompt in zip(counts, prompts, strict=True):
        code, width = ("ascii", "u1") if prompt.isascii() else ("utf-32-le", "<u4")
        kind = kind_of[np.frombuffer(prompt.encode(code, "surrogatepass"), dtype=width)]
        row[:] = np.bincount(kind, minlength=NUM_KINDS)
        row[_GAP + 1] = np.count_nonzero((kind[1:] == _GAP) & (kind[:-1] == _GAP))
        row[_GAP] -= row[_GAP + 1]
    return counts


@cache
def _tabulate_kinds() -> NDArray[np.uint8]:
    """Kind of each code point, white space as gaps: (0x110000,)."""
    table = np.full(0x110000, KINDS.index("other"), dtype=np.uint8)
    for kind, ranges in _RANGES.items():
        for first, last in ranges:
            table[first : last + 1] = KINDS.index(kind)
    return table


class TokenEstimate(NamedTuple):
    """Tokens of prompts, for B prompts and M models."""

    tokens: FloatArray
    """(B, M) expected."""
    cautious: FloatArray
    """(B, M) upper end: nine of ten prompts have no more."""
    beyond: FloatArray
    """(B, M) tokens by which the text is longer than any that a model has answered, >= 0."""


class TokenRates(NamedTuple):
    """Tokens = offset + characters of each kind x rate, for M models and T tasks.

    `fit_token_rates` fits it.
    """

    rates: FloatArray
    """(M, NUM_KINDS) tokens a character, >= 0."""
    doubt: FloatArray
    """(M, NUM_KINDS, NUM_KINDS) covariance of the rates."""
    offset: FloatArray
    """(T + 1, M) tokens beside the text, >= 0, such as a system prompt; last row: unknown task."""
    spread: FloatArray
    """(M,) standard deviation beside the rates, as a share of the tokens."""
    pooled: FloatArray
    """(NUM_KINDS,) tokens a character, over models."""
    most: FloatArray
    """(NUM_KINDS,) most characters of each kind in a prompt whose tokens were counted."""
    usual: float
    """Tokens of the text, at the pooled rates, that nine of ten such prompts do not exceed."""
    longest: float
    """Tokens of the longest text that a model has answered, at the pooled rates."""

    def count_characters(self, num_chars: FloatArray, task_share: FloatArray) -> FloatArray:
        """Tokens of prompts by their characters alone: (B, M) > 0; arguments of `estimate`."""
        return self._add_offset(self._count_text(num_chars), task_share)

    def arrange_by_kind(self) -> TokenRates:
        """The same numbers; in memory the doubt has a model a column, as `estimate` reads it."""
        by_kind = np.ascontiguousarray(self.doubt.transpose(1, 2, 0))
        return self._replace(doubt=by_kind.transpose(2, 0, 1))

    def _count_text(self, num_chars: FloatArray) -> FloatArray:
        # One product a row: a row by itself is rounded the same.
        return np.asarray(np.add.reduce(num_chars[:, None, :] * self.rates, axis=2))

    def _add_offset(self, text: FloatArray, task_share: FloatArray) -> FloatArray:
        beside = np.matmul(task_share[:, None], self.offset)[:, 0]
        return np.asarray(np.maximum(text + beside, 1e-9))

    def _find_variance(self, num_chars: FloatArray) -> FloatArray:
        """Of the tokens of the texts by the doubt about the rates: (B, M), n^T V n.

        Of many prompts kind by kind, so that what is at work has a model a column: numbers that
        lie together, and few enough for the cache. The last sum is in pairs, as NumPy's of eight
        numbers is.
        """
        chars = np.ascontiguousarray(num_chars.T)[:, :, None]  # (NUM_KINDS, B, 1)
        doubt = np.ascontiguousarray(self.doubt.transpose(1, 2, 0))[:, :, None]
        if len(num_chars) == 1:
            of_kind = np.add.reduce(chars[:, None] * doubt, axis=0)  # (NUM_KINDS, B, M)
        else:
            of_kind = chars[0] * doubt[0]
            for kind in range(1, NUM_KINDS):
                of_kind += chars[kind] * doubt[kind]
        of_kind *= chars
        for apart in (1, 2, 4):
            of_kind[:: 2 * apart] += of_kind[apart :: 2 * apart]
        variance: FloatArray = of_kind[0]
        return variance

    def estimate(
        self,
        num_chars: FloatArray,
        task_share: FloatArray,
        expected: FloatArray,
        *,
        trust: float = 0.0,
    ) -> TokenEstimate:
        """Tokens of prompts: by the network among prompts like those counted, else by the rates.

        Beyond them a network's estimate stands still. So the rates take over, without a step, from
        the length that nine of ten do not exceed, and where a kind comes in numbers never seen.

        Args:
            num_chars: (B, NUM_KINDS) from `count_chars`.
            task_share: (B, T + 1) belief over tasks, last column: none of them.
            expected: (B, M) tokens that the network expects; NaN = it cannot say.
            trust: Weight of the rates, in [0, 1], where they do not take over; the mean is that of
                logarithms. See `training.amount_calibration.weigh_counts`.
        """
        pooled = count_pooled(num_chars, self.pooled)
        text = self._count_text(num_chars)
        counted = self._add_offset(text, task_share)
        far = measure_overstep(num_chars, pooled, self.pooled, self.most, self.usual)[:, None]
        known = np.where(np.isnan(expected), counted, np.maximum(expected, 1e-9))
        tokens = known * (counted / known) ** np.maximum(far, trust)
        doubt = self._find_variance(num_chars)
        cautious = tokens + _Z_90 * np.sqrt(doubt + (self.spread * tokens) ** 2)
        beyond = text * np.maximum(1 - self.longest / pooled, 0)[:, None]
        return TokenEstimate(tokens, cautious, beyond)


def count_pooled(num_chars: FloatArray, pooled: FloatArray) -> FloatArray:
    """Tokens of texts (B, NUM_KINDS) by the rates of all models together: (B,) > 0."""
    return np.asarray(np.maximum(np.add.reduce(num_chars * pooled, axis=1), 1e-9))


def measure_overstep(
    num_chars: FloatArray, tokens: FloatArray, pooled: FloatArray, most: FloatArray, usual: float
) -> FloatArray:
    """How far prompts are beyond those seen, in [0, 1]: 0 among them, 1 beyond: (B,).

    From the length that nine of ten do not exceed on, and where a kind comes in numbers never seen.

    Args:
        num_chars: (B, NUM_KINDS) characters of the prompts.
        tokens: (B,) of them, from `count_pooled`.
        pooled: (NUM_KINDS,) tokens a character.
        most: (NUM_KINDS,) most characters of each kind in a prompt seen.
        usual: Tokens of the text that nine of ten do not exceed.
    """
    unseen = np.add.reduce(np.maximum(num_chars - most, 0) * pooled, axis=1) / tokens
    beyond = _TAKE_OVER * np.maximum(1 - usual / tokens, unseen)
    return np.asarray(np.minimum(np.maximum(beyond, 0), 1))


def fit_token_rates(
    num_chars: FloatArray,
    task: IntArray,
    query: IntArray,
    model: IntArray,
    tokens: FloatArray,
    *,
    num_models: int,
    num_tasks: int,
) -> TokenRates:
    """Tokens a character of each kind, from prompts whose tokens were counted.

    A ridge regression (Hoerl and Kennard, 1970) of the pool, drawn to `PRIOR_RATES`, and one a
    model, drawn to a ratio of the model times the pool's. Errors count relative to the length, and
    only differences within a task: a task may have examples that its prompts do not show.

    Args:
        num_chars: (Q, NUM_KINDS) characters of the prompts.
        task: (Q,) position of each prompt's task, -1 = unknown.
        query: (E,) prompt of each outcome.
        model: (E,) model of each outcome.
        tokens: (E,) prompt tokens, NaN = not counted.
        num_models: M.
        num_tasks: T.
    """
    known, every = np.flatnonzero(np.isfinite(tokens)), np.arange(num_models + 1)
    answered, distinct = (np.flatnonzero(np.bincount(rows)) for rows in (query, query[known]))
    known = known[_sort_pairs(model[known] * len(num_chars) + query[known], tokens[known])]
    ends = np.searchsorted(model[known], every)
    known = known[_spread_rows(ends, _MOST_ROWS)]
    query, model, tokens = query[known], model[known], tokens[known]
    chars, group = num_chars[query], task[query] % (num_tasks + 1)
    scale = 1 / (chars @ PRIOR_RATES + _TEMPLATE_TOKENS)
    x, y = take_differences(chars, tokens, scale, model * (num_tasks + 1) + group, model)
    # Models that read one prompt count it much alike.
    copies = max(len(query), 1) / max(len(np.unique(query)), 1)
    ends = np.searchsorted(model, every)
    own_rows = {i: slice(*ends[i : i + 2]) for i in range(num_models) if ends[i] < ends[i + 1]}
    ratio = np.ones(num_models)
    for _ in range(_RATIO_ROUNDS):
        doubt = np.diag((_PRIOR_DOUBT * PRIOR_RATES) ** 2)
        pooled, doubt, spread = _fit_ridge(
            x * ratio[model, None], y, PRIOR_RATES, doubt, copies=copies
        )
        told = (spread / _RATIO_DOUBT) ** 2
        for one, own in own_rows.items():
            likely = x[own] @ pooled
            ratio[one] = max(float((likely @ y[own] + told) / (likely @ likely + told)), 0.1)
    rates, doubts = np.tile(pooled, (num_models, 1)), np.tile(doubt, (num_models, 1, 1))
    spreads, offset = np.full(num_models, spread), np.full((num_tasks + 1, num_models), np.nan)
    for one, own in own_rows.items():
        start = ratio[one] * pooled
        apart = doubt + np.diag((_MODEL_DOUBT * start + 0.003) ** 2)
        rates[one], doubts[one], spreads[one] = _fit_ridge(x[own], y[own], start, apart)
        rest, weight = tokens[own] - chars[own] @ rates[one], scale[own] ** 2
        level = max(float(weight @ rest / weight.sum()), 0.0)
        sums = np.bincount(group[own], weight * (rest - level), num_tasks + 1)
        shrunk = sums / (np.bincount(group[own], weight, num_tasks + 1) + 2 * weight.mean())
        offset[:, one] = np.maximum(level + shrunk, 0.0)
        offset[num_tasks, one] = level
    others = np.isnan(offset).all(axis=0)
    offset[:, others] = offset[:, ~others].mean(axis=1, keepdims=True) if len(query) else 0.0
    text = num_chars[distinct] @ pooled
    return TokenRates(
        rates=rates,
        doubt=doubts,
        offset=offset,
        spread=spreads,
        pooled=pooled,
        most=num_chars[distinct].max(axis=0, initial=0.0),
        usual=float(np.quantile(text, 0.9)) if text.size else 0.0,
        longest=float((num_chars[answered] @ pooled).max(initial=0.0)),
    )


def _sort_pairs(pair: IntArray, tokens: FloatArray) -> IntArray:
    """Order by pair, then by tokens: rows that stand in any order come to the same bits."""
    order = np.argsort(pair)
    if (np.diff(pair[order]) == 0).any():  # hardly ever, and ten times slower
        order = np.lexsort((tokens, pair))
    return order


def _spread_rows(ends: IntArray, most: int) -> IntArray:
    """Positions of at most `most` rows a group, evenly spread; group i begins at ends[i]."""
    chosen = [
        np.unique(np.linspace(first, last - 1, min(last - first, most)).astype(np.int64))
        for first, last in pairwise(ends)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *chosen])


def take_differences(
    chars: FloatArray, tokens: FloatArray, scale: FloatArray, group: IntArray, wider: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Characters and tokens less their means in a group, times `scale`: (E, NUM_KINDS) and (E,).

    Rows of a group of fewer than three are compared with all such of the wider group.
    """
    group = np.unique(group, return_inverse=True)[1]
    lonely = np.bincount(group)[group] < 3 if group.size else group > 0
    group = np.unique(np.where(lonely, -1 - wider, group), return_inverse=True)[1]
    columns = np.column_stack([chars, tokens])
    weight = np.bincount(group, scale**2)
    for column in columns.T:
        column -= (np.bincount(group, scale**2 * column) / weight)[group]
    columns *= scale[:, None]
    return columns[:, :-1], columns[:, -1]


def _fit_ridge(
    x: FloatArray, y: FloatArray, start: FloatArray, doubt: FloatArray, *, copies: float = 1.0
) -> tuple[FloatArray, FloatArray, float]:
    """Rates >= 0 around `start`, their covariance, and the spread of what they leave.

    Args:
        x: (n, NUM_KINDS).
        y: (n,).
        start: (NUM_KINDS,) what is expected before.
        doubt: (NUM_KINDS, NUM_KINDS) covariance of the same.
        copies: Rows that say the same.
    """
    told, square, spread = np.linalg.inv(doubt), x.T @ x / copies, 0.1
    for _ in range(3):
        precision = square / spread**2 + told
        free = np.ones(NUM_KINDS, dtype=bool)
        rates = np.zeros(NUM_KINDS)
        while free.any():
            right = (x.T @ y / copies / spread**2 + told @ start)[free]
            rates[free] = np.linalg.solve(precision[np.ix_(free, free)], right)
            if (rates >= 0).all():
                break
            free &= rates > 0
            rates[~free] = 0.0
        left = y - x @ rates
        spread = max(float(np.sqrt((left @ left + 0.1) / (len(y) + 10))), 0.02)
    return rates, np.linalg.inv(precision), spread
