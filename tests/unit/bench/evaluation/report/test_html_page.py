"""What all pages share: figures that cannot end their element, names that cannot be markup."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.evaluation.report.html_page import embed
from graphrouter.bench.evaluation.report.plots import escape_html


@given(st.text())
def test_an_embedded_figure_says_the_same_without_markup(text: str) -> None:
    embedded = embed({"name": text})
    assert not set("<>&") & set(embedded)
    assert json.loads(embedded) == {"name": text}


def test_undefined_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        embed({"y": [float("nan")]})


@given(st.text())
def test_plain_text_has_no_tags(text: str) -> None:
    assert "<" not in escape_html(text)
