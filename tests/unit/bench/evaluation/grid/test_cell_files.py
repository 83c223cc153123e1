"""Files of cells: what comes back is what was kept, and files of older runs are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from graphrouter.bench.evaluation.benchmark import CellResult
from graphrouter.bench.evaluation.grid import read_cell, write_cell
from graphrouter.bench.evaluation.newcomers import NewcomerResult
from graphrouter.types import QUANTITIES

MODELS = ("nano", "grand")


def test_values_models_and_arrays_come_back(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "cell.safetensors"
    columns = np.array([[0.1, np.nan, 0.3], [0.4, 0.5, 0.6]], order="F")[:, [2, 1]]
    write_cell(
        file, {"status": "done", "fit_s": float("nan")}, models=MODELS, arrays={"effect": columns}
    )
    stored = read_cell(file)
    assert stored is not None
    assert stored.told["status"] == "done"
    assert np.isnan(stored.told["fit_s"])
    assert stored.models == MODELS
    assert list(stored.arrays) == ["effect"]
    np.testing.assert_array_equal(stored.arrays["effect"], [[0.3, np.nan], [0.6, 0.5]])
    assert [path.name for path in file.parent.iterdir()] == ["cell.safetensors"]


def test_arrays_are_left_where_they_are_when_nobody_asks(tmp_path: Path) -> None:
    write_cell(
        tmp_path / "cell.safetensors",
        {"status": "done"},
        models=MODELS,
        arrays={"effect": np.ones((2, 2))},
    )
    stored = read_cell(tmp_path / "cell.safetensors", with_arrays=False)
    assert stored is not None
    assert (stored.told, stored.models, stored.arrays) == ({"status": "done"}, MODELS, {})


@pytest.mark.parametrize("contents", [None, b"", b"half a file", b"\x10"])
def test_what_cannot_be_read_counts_as_not_there(contents: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "cell.safetensors"
    if contents is not None:
        file.write_bytes(contents)
    assert read_cell(file) is None


def test_a_cut_file_counts_as_not_there(tmp_path: Path) -> None:
    file = tmp_path / "cell.safetensors"
    write_cell(file, {"status": "done"}, models=MODELS, arrays={"effect": np.ones((200, 2))})
    file.write_bytes(file.read_bytes()[:-8])
    assert read_cell(file, with_arrays=False) is None


def test_a_file_without_predictions_is_one_that_every_version_accepts(tmp_path: Path) -> None:
    write_cell(tmp_path / "cell.safetensors", {"status": "failed"})
    assert len(load_file(tmp_path / "cell.safetensors")) == 1


def test_the_results_of_an_older_benchmark_are_read(tmp_path: Path) -> None:
    effect = np.array([[0.25, 0.5]])
    arrays = {f"task_hidden.{name}": effect for name in QUANTITIES} | {"cell": np.zeros(1)}
    told = {"status": "done", "message": "", "fit_s": 1.5, "predict_s": 0.5}
    save_file(
        arrays,
        tmp_path / "cell.safetensors",
        metadata={"cell": json.dumps(told), "models": json.dumps(MODELS)},
    )
    result = CellResult.load(tmp_path / "cell.safetensors")
    assert result is not None
    assert (result.status, result.message, result.fit_s, result.predict_s) == ("done", "", 1.5, 0.5)
    assert result.outputs is not None
    assert list(result.outputs) == ["task_hidden"]
    predictions = result.outputs["task_hidden"].predictions
    assert predictions.models == MODELS
    np.testing.assert_array_equal(predictions.effect, effect)


def test_the_results_of_an_older_comparison_on_newcomers_are_read(tmp_path: Path) -> None:
    effect = np.array([[0.25, 0.5]], dtype=np.float32)
    arrays = {f"rasch@all.{name}": effect for name in ("effect", "cost_usd")} | {
        "cell": np.zeros(1, dtype=np.float32)
    }
    told = {"status": "done", "message": "", "fit_s": 1.5, "join_s": {"rasch@all": 0.5}}
    save_file(
        arrays,
        tmp_path / "cell.safetensors",
        metadata={"cell": json.dumps(told), "models": json.dumps(MODELS)},
    )
    result = NewcomerResult.load(tmp_path / "cell.safetensors")
    assert result is not None
    assert (result.status, result.fit_s, result.join_s) == ("done", 1.5, {"rasch@all": 0.5})
    assert result.outputs is not None
    np.testing.assert_array_equal(result.outputs["rasch", "all"].predictions.effect, effect)
