"""Clipping, unit rows and the progress bar."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.encoders.text_encoder import clip_text, iterate_batches, unit_rows


def test_clip_text_keeps_both_ends() -> None:
    text = "a" * 300 + "b" * 300
    assert clip_text(text, 101) == "a" * 50 + "\n" + "b" * 50
    assert clip_text("a" * 101, 101) == "a" * 101


@given(st.text(alphabet=st.characters(), max_size=400), st.integers(100, 300))
def test_clipped_text_is_short_valid_and_stays_as_it_is(text: str, max_chars: int) -> None:
    clipped = clip_text(text, max_chars)
    assert len(clipped) <= max_chars
    clipped.encode("utf-8")
    assert clip_text(clipped, max_chars) == clipped


def test_clip_text_replaces_half_a_surrogate_pair_only() -> None:
    assert clip_text("é \ud800 ok 😀") == "é ? ok 😀"


def test_unit_rows_by_hand() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.array([[0.6, 0.8], [0.0, 0.0]], dtype=np.float32))


def test_iterate_batches_covers_everything_in_order() -> None:
    assert list(iterate_batches(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(iterate_batches(0, 2)) == []


@pytest.mark.parametrize(
    ("num_texts", "progress", "is_shown"),
    [(3000, True, True), (3000, False, False), (2000, True, False)],
)
def test_progress_bar_only_when_asked_and_worth_it(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    num_texts: int,
    progress: bool,
    is_shown: bool,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich draws nothing where standard error is no terminal
    assert (
        sum(part.stop - part.start for part in iterate_batches(num_texts, 500, progress=progress))
        == num_texts
    )
    shown = capsys.readouterr()
    assert ("Encoding texts" in shown.err) is is_shown
    assert shown.out == ""
