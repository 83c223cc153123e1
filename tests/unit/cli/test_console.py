"""JSON for machines: exact, never wrapped, null where a number is unknown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from graphrouter.cli.console import print_json
from graphrouter.pool import ModelCard


@dataclass(frozen=True)
class Pair:
    cost_usd: float
    effects: np.ndarray


def test_print_json_takes_what_the_package_hands_around(capsys: pytest.CaptureFixture[str]) -> None:
    long_text = "[bold]not markup[/bold] :smile: " + "x" * 500
    print_json(
        {
            "pair": Pair(float("nan"), np.array([[0.5, np.inf]])),
            "count": np.int64(3),
            "flag": np.bool_(True),
            "path": Path("a") / "b",
            "names": ("é", None),
            "text": long_text,
            "card": ModelCard(model="nano", json=True),
        }
    )
    received = json.loads(capsys.readouterr().out)
    assert received["pair"] == {"cost_usd": None, "effects": [[0.5, None]]}
    assert (received["count"], received["flag"], received["path"]) == (3, True, "a/b")
    assert received["names"] == ["é", None]
    assert received["text"] == long_text
    assert received["card"]["json"] is True


def test_print_json_names_what_it_cannot_write() -> None:
    with pytest.raises(TypeError, match="received a object"):
        print_json({"thing": object()})
