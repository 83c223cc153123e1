"""Turns to go: the beta-geometric distribution against its own draws."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.gateway.sessions.session_lengths import LONGEST, START, SessionLengths


def test_turns_to_go_before_any_session_was_seen() -> None:
    lengths = SessionLengths()
    assert lengths.parameters == START
    assert lengths.expect_more(1) == pytest.approx(3.0)
    assert lengths.expect_more(11) == pytest.approx(8.0)


@pytest.mark.parametrize(("a", "b"), [(4.0, 4.0), (3.0, 40.0)])
def test_the_fit_foretells_sessions_that_were_drawn(a: float, b: float) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.geometric(rng.beta(a, b, 4000))
    lengths = SessionLengths()
    for each in drawn[:2000]:
        lengths.note(int(each))
    rest = drawn[2000:]
    for turns in (1, 3):
        true = float((rest[rest >= turns] - turns).mean())
        assert lengths.expect_more(turns) == pytest.approx(true, rel=0.25)


def test_longer_ones_than_are_told_apart_break_nothing() -> None:
    lengths = SessionLengths()
    for _ in range(50):
        lengths.note(100 * LONGEST)
    assert 50 < lengths.expect_more(1) < 1e5
