"""Artifacts that an older release wrote: they load, and predict what it predicted.

`tests/data/format3` was written by the release before format 4, with its predictions.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import graphrouter as gr
from graphrouter.artifact import FORMAT_VERSION, read_artifact
from graphrouter.router.migrations import migrate_contents, rename_weights

FOLDER = Path(__file__).parents[2] / "data" / "format3"
RECORDED: dict[str, Any] = json.loads((FOLDER / "predictions.json").read_text(encoding="utf-8"))


def _bytes_in(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", RECORDED["routers"])
def test_an_artifact_of_format_3_predicts_what_it_predicted(name: str) -> None:
    before = _bytes_in(FOLDER / name)
    router = gr.load_router(FOLDER / name)
    recorded = RECORDED["routers"][name]
    assert list(router.models) == recorded["models"]
    received = router.predict(RECORDED["prompts"], tasks=RECORDED["tasks"])
    for field, rows in recorded["predictions"].items():
        expected = np.array(rows, dtype=float)
        np.testing.assert_allclose(getattr(received, field), expected, rtol=1e-12, atol=1e-12)
    assert _bytes_in(FOLDER / name) == before, "reading writes nothing"


@pytest.mark.parametrize("name", [name for name in RECORDED["routers"] if "graph" in name])
def test_saved_again_it_is_of_the_present_format(name: str, tmp_path: Path) -> None:
    router = gr.load_router(FOLDER / name)
    router.save(tmp_path / "again")
    assert read_artifact(tmp_path / "again").manifest["format_version"] == FORMAT_VERSION
    again = gr.load_router(tmp_path / "again")
    received, expected = (r.predict(RECORDED["prompts"]).effect for r in (again, router))
    assert (received == expected).all()


def test_contents_of_the_present_format_are_left_alone(tmp_path: Path) -> None:
    gr.load_router(FOLDER / "graphrouter").save(tmp_path / "new")
    contents = read_artifact(tmp_path / "new")
    assert migrate_contents(contents) is contents


def test_weights_keep_their_values_and_idle_ones_go() -> None:
    weights = {
        "slope_scale": torch.full((4, 1), 0.5),
        "readout.out.bias": torch.arange(6.0),
        "readout.doubt.log": torch.tensor(0.1),
        "task_attention.vote": torch.tensor(1.0),
    }
    renamed = rename_weights(weights, ["doubt", "cards"])
    assert sorted(renamed) == [
        "readout.perceptron.out.bias",
        "task_attention.vote",
        "text_easiness.scale",
    ]
    assert torch.equal(renamed["readout.perceptron.out.bias"], torch.arange(6.0))
