from __future__ import annotations

import pandas as pd
import pytest

from graphrouter.data.columns import NUMBERS, NumberColumn
from graphrouter.data.number_columns import parse_number_column
from graphrouter.exceptions import DataError
from graphrouter.text_files import JsonNaN

COLUMNS = {column.name: column for table in ("models", "outcomes") for column in NUMBERS[table]}  # type: ignore[index]


def parse(name: str, cells: list[object]) -> list[float]:
    column: NumberColumn = COLUMNS[name]
    table = pd.DataFrame({name: pd.Series(cells, dtype=object)})
    return [float(x) for x in parse_number_column(table, column, "table")]


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("cost_usd", ["$0.01", "0.02 USD", "USD 3", "us$4"], [0.01, 0.02, 3, 4]),
        ("cost_usd", ["0,5", "12,25"], [0.5, 12.25]),
        ("cost_usd", ["$1.234,5"], [1234.5]),
        ("output_tokens", ["1,234,567", "12"], [1234567, 12]),
        ("output_tokens", ["1,234.5"], [1234.5]),
        ("latency_s", ["1,5", "1,234"], [1.5, 1.234]),
        ("effect", ["1,000", "0,250"], [1, 0.25]),
        ("effect", [True, False], [1, 0]),
        ("effect", ["Passed", "0.5"], [1, 0.5]),
        ("effect", ["12,5 %"], [0.125]),
        ("effect", [0, 100, 100], [0, 1, 1]),
        ("effect", [0, 1, 1], [0, 1, 1]),
    ],
)
def test_what_can_mean_one_number_is_read(
    name: str, cells: list[object], expected: list[float]
) -> None:
    assert parse(name, cells) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("output_tokens", ["1,234"], "'1,234', which can be read as two numbers"),
        ("latency_s", ["1,5", "1.234"], "'1,5', which can be read as two numbers"),
        ("latency_s", ["1,5", "1,234,567"], "which can be read as two numbers"),
        ("output_tokens", ["$5"], "is '$5', which is no number"),
        ("cost_usd", ["€5"], "which is no number"),
        ("cost_usd", ["pass"], "is 'pass', which is no number"),
        ("cost_usd", [True], "is True, which is no number"),
        ("cost_usd", [10**400], "which is no number"),
        ("cost_usd", [1 + 2j], "which is no number"),
        ("cost_usd", [JsonNaN("nan")], "is NaN. Leave it empty"),
        ("effect", ["85", "0", "1"], "The values go to 85: divide all by the highest grade"),
        ("effect", ["1", "0", "100"], "The values go to 100: divide all by the highest grade"),
        ("effect", ["5", "4", "1"], "The values go to 5: divide all by the highest grade"),
        ("effect", ["0.5", "100"], "effect is 100; expected a number from 0 to 1"),
        ("effect", ["101", "100"], "effect is 101; expected a number from 0 to 1"),
    ],
)
def test_what_can_mean_several_or_none_is_refused(
    name: str, cells: list[object], said: str
) -> None:
    with pytest.raises(DataError) as caught:
        parse(name, cells)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_ten_wrong_rows_are_named_and_all_are_counted() -> None:
    with pytest.raises(DataError) as caught:
        parse("effect", ["1", *["bad"] * 27])
    assert str(caught.value) == (
        "table, row 2: effect is 'bad', which is no number. Write a plain number, or leave it "
        "empty. 27 rows are like it: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...."
    )
