"""What models charge, by their bills and by the texts that were billed, in closed form."""

from __future__ import annotations

import numpy as np

from graphrouter.features.answer_tokens import fit_answer_tokens
from graphrouter.features.bills import Bills
from graphrouter.features.channels import SPEND, OutcomeColumns, Tariff, read_columns
from graphrouter.features.tables import RawFeatures
from graphrouter.features.text_spend import SpendRows, fit_text_spend
from graphrouter.features.token_rates import TokenRates
from graphrouter.types import FloatArray, IntArray


def read_tariff(
    bills: Bills,
    prices: FloatArray,
    raw: RawFeatures,
    query: IntArray,
    model: IntArray,
    outcomes: OutcomeColumns,
    tokens: TokenRates,
) -> Tariff:
    """What the models charge when these are their list prices, for prompts of any length.

    Args:
        bills: Of the outcomes.
        prices: (2, M) input and output US dollars per million tokens, NaN = not known.
        raw: Features of the queries.
        query: (E,) position of each outcome's query.
        model: (E,) position of its model.
        outcomes: E rows, after `hide_suspect_zeros`.
        tokens: From characters to tokens, by the same outcomes.
    """
    tariff, follows = bills.charge(prices), bills.holds_prompt
    rows = np.flatnonzero(follows[model])
    if not rows.size:
        return tariff
    rows = rows[np.lexsort((query[rows], model[rows]))]  # any order of outcomes: same bits
    relative = bills.encode(outcomes, model)[SPEND, rows]
    (output_tokens,) = read_columns(outcomes, "output_tokens")
    query, model = query[rows], model[rows]
    num_tasks, scaler = len(raw.tasks), bills.scaler
    standardised = SpendRows(
        num_chars=raw.num_chars[query].astype(np.float64),
        task=raw.query_task[query] % (num_tasks + 1),
        model=model,
        spend=relative,
        output_tokens=output_tokens[rows],
    )
    spent = standardised._replace(spend=np.exp(scaler.mean[SPEND] + scaler.scale[SPEND] * relative))
    beyond = np.broadcast_to(tariff.beyond_usd, tariff.spend_usd.shape)
    is_listed = follows & (beyond > 0) & (tariff.spend_usd > 0)
    listed = np.where(is_listed, beyond / np.where(is_listed, tariff.spend_usd, 1.0), np.nan)
    return tariff._replace(
        beyond_usd=np.where(follows, 0.0, beyond),
        text=fit_text_spend(spent, tokens, follows=follows, listed=listed, num_tasks=num_tasks),
        answers=fit_answer_tokens(standardised, tokens, len(follows)),
    )
