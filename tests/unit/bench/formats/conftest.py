"""Writes small files in the forms of others, and reads outcomes back as a plain mapping."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrouter.data import RoutingDataset

WriteJson = Callable[[str, Any], Path]
Outcomes = dict[tuple[str, str], tuple[float | None, ...]]
OutcomesOf = Callable[..., Outcomes]


@pytest.fixture
def write_json(tmp_path: Path) -> WriteJson:
    """Writes a value as JSON (as JSON Lines for .jsonl) below the test's folder."""

    def write(path: str, value: Any) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = (
            "".join(json.dumps(row) + "\n" for row in value)
            if file.suffix == ".jsonl"
            else json.dumps(value)
        )
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def outcomes_of() -> OutcomesOf:
    """Numbers of each (query_id, model), None where they are unknown."""

    def read(data: RoutingDataset, *columns: str) -> Outcomes:
        rows = data.outcomes[["query_id", "model", *(columns or ("effect",))]].itertuples(
            index=False, name=None
        )
        return {
            (query, model): tuple(None if math.isnan(n) else n for n in numbers)
            for query, model, *numbers in rows
        }

    return read
