"""Real outcomes that come after a fit: told beside settled states, and settled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import graphrouter as gr
from experiments.unsettled import run


@pytest.mark.parametrize("kind", run.KINDS)
def test_they_are_told_nearly_as_they_are_settled(
    shared_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(run, "NUM_TRAINED", 200)
    monkeypatch.setattr(run, "NUM_TESTED", 100)
    data = gr.load_dataset(shared_data("helm_mmlu"))
    found = run.measure(data, run.Cell(data.name, kind, 0.1, 0))
    assert found["is_quick"]
    assert 0 < found["apart"] < 0.8 * found["moved"]
    assert abs(found["unsettled"] - found["settled"]) < 0.004
