"""What a decision tells: of its candidates, of the chosen model, and as plain JSON."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from graphrouter.decision import Candidate, Decision, Evidence


@pytest.fixture
def decision() -> Decision:
    candidates = (
        Candidate("a", 0.5, 0.1, 10.0, 1.5, 0.4),
        Candidate("b", 0.9, None, None, None, None, rejected="cost unknown"),
        Candidate("c", 0.8, 0.3, None, 2.0, None, rejected="in excluded"),
    )
    return Decision(model="a", effect=0.5, cost_usd=0.1, candidates=candidates)


def test_a_decision_tells_why_each_model_was_rejected(decision: Decision) -> None:
    assert decision.rejected == {"b": "cost unknown", "c": "in excluded"}


def test_latency_is_that_of_the_chosen_model(decision: Decision) -> None:
    assert decision.latency_s == 1.5
    assert dataclasses.replace(decision, model="c").latency_s == 2.0
    assert dataclasses.replace(decision, model="b").latency_s is None


def test_doubt_is_the_width_of_the_interval(decision: Decision) -> None:
    candidate = decision.candidates[0]
    assert candidate.doubt is None
    assert dataclasses.replace(candidate, effect_low=0.25, effect_high=0.75).doubt == 0.5


def test_a_decision_has_no_evidence_and_no_fallback_unless_said(decision: Decision) -> None:
    assert not decision.used_safe_model
    assert (decision.effect_low, decision.effect_high) == (None, None)
    assert decision.evidence == ()
    assert not decision.used_fallback
    assert decision.policy == {}


def test_a_decision_is_plain_json() -> None:
    unknown = Candidate("nano", float("nan"), None, None, None, None, rejected="effect unknown")
    seen = Evidence("q1", "Hello", None, 0.5, {"grand": np.float64(1.0)})
    decision = Decision("grand", 0.9, None, (unknown,), (seen,), policy={"allowed": ("grand",)})
    found = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    assert set(found) == {each.name for each in dataclasses.fields(Decision)}
    assert found["candidates"][0]["effect"] is None
    assert found["candidates"][0]["rejected"] == "effect unknown"
    assert found["evidence"][0]["effects"] == {"grand": 1.0}
    assert found["policy"] == {"allowed": ["grand"]}
