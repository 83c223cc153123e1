"""Artifacts that an older release wrote: they load, and predict what it predicted.

`tests/data/formatN` was written by the release before format N + 1, with its predictions.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.artifact import FORMAT_VERSION, read_artifact
from graphrouter.router.migrations import migrate_contents, rename_weights

DATA = Path(__file__).parents[2] / "data"
RECORDED: dict[int, dict[str, Any]] = {
    version: json.loads((DATA / f"format{version}" / "predictions.json").read_text("utf-8"))
    for version in (3, 4, 5, 6, 7)
}
ARTIFACTS = [(version, name) for version, found in RECORDED.items() for name in found["routers"]]
GRAPH_ROUTERS = [(version, name) for version, name in ARTIFACTS if "graph" in name]


def _bytes_in(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize(("version", "name"), ARTIFACTS)
def test_an_older_artifact_predicts_what_it_predicted(version: int, name: str) -> None:
    folder = DATA / f"format{version}" / name
    before = _bytes_in(folder)
    assert json.loads((folder / "manifest.json").read_bytes())["format_version"] == version
    router = gr.load_router(folder)
    recorded = RECORDED[version]["routers"][name]
    assert list(router.models) == recorded["models"]
    received = router.predict(RECORDED[version]["prompts"], tasks=RECORDED[version]["tasks"])
    for field, rows in recorded["predictions"].items():
        expected = np.array(rows, dtype=float)
        np.testing.assert_allclose(getattr(received, field), expected, rtol=1e-12, atol=1e-12)
    assert _bytes_in(folder) == before, "reading writes nothing"


@pytest.mark.parametrize(("version", "name"), GRAPH_ROUTERS)
def test_saved_again_it_is_of_the_present_format(version: int, name: str, tmp_path: Path) -> None:
    router = gr.load_router(DATA / f"format{version}" / name)
    router.save(tmp_path / "again")
    assert read_artifact(tmp_path / "again").manifest["format_version"] == FORMAT_VERSION
    again = gr.load_router(tmp_path / "again")
    received, expected = (r.predict(RECORDED[version]["prompts"]).effect for r in (again, router))
    assert (received == expected).all()


@pytest.mark.parametrize(("version", "name"), GRAPH_ROUTERS)
def test_an_older_one_lacks_nothing_of_the_present_format(
    version: int, name: str, tmp_path: Path
) -> None:
    folder = DATA / f"format{version}" / name
    migrated = migrate_contents(read_artifact(folder))
    gr.load_router(folder).save(tmp_path / "new")
    new = read_artifact(tmp_path / "new")
    derived = {"states"}  # of all else, and computed where they are lacking
    assert set(migrated.manifest) - derived == set(new.manifest) - derived
    for table, frame in new.tables.items():
        assert list(migrated.tables[table]) == list(frame)
    assert set(migrated.tensors) - derived == set(new.tensors) - derived
    for group, tensors in migrated.tensors.items():
        if group in derived:
            continue
        assert set(tensors) == set(new.tensors[group])


def test_contents_of_the_present_format_are_left_alone(tmp_path: Path) -> None:
    gr.load_router(DATA / "format5" / "graphrouter").save(tmp_path / "new")
    contents = read_artifact(tmp_path / "new")
    assert migrate_contents(contents) is contents


def test_weights_keep_their_values_and_idle_ones_go() -> None:
    weights = {
        "slope_scale": np.full((4, 1), 0.5),
        "readout.out.bias": np.arange(6.0),
        "readout.doubt.log": np.array(0.1),
        "task_attention.vote": np.array(1.0),
    }
    renamed = rename_weights(weights, ["doubt", "cards"])
    assert sorted(renamed) == [
        "readout.perceptron.out.bias",
        "task_attention.vote",
        "text_easiness.scale",
    ]
    np.testing.assert_array_equal(renamed["readout.perceptron.out.bias"], np.arange(6.0))
