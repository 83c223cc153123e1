"""Work on cells: resumed, robust to routers and processes that fail; and a study of one's own, from
cells to figures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.evaluation.benchmark import CellResult, Plan, collect, fit_and_ask
from graphrouter.bench.evaluation.grid import (
    CELLS,
    GridCell,
    GridResult,
    find_failures,
    finish,
    open_cells,
    prepare_split,
    prepared_split,
    read_cell,
    read_datasets,
    run_cells,
    set_seeds,
    write_cell,
)
from graphrouter.config import TrainConfig
from graphrouter.exceptions import NotApplicableError


@dataclass(frozen=True, eq=False)
class Length(GridResult):
    """How long the name of the router is."""

    num_chars: int = 0

    def save(self, file: Path) -> None:
        write_cell(
            file, {"status": self.status, "message": self.message, "num_chars": self.num_chars}
        )


def cells_of(folder: Path, *routers: str, num_seeds: int = 1) -> list[GridCell]:
    return [
        GridCell("nowhere", "names", "0" * 16, router, set_seeds(TrainConfig(), seed), folder)
        for seed in range(num_seeds)
        for router in routers
    ]


def measure(cell: GridCell) -> Length:
    def ask() -> Length:
        if cell.router == "breaks":
            raise ZeroDivisionError("on\n two lines")
        if cell.router == "cannot":
            raise NotApplicableError("it has no name")
        if cell.router == "dies":
            os._exit(9)
        return Length("done", num_chars=len(cell.router))

    return finish(cell, ask, Length)


def run_all(
    cells: list[GridCell], work: Callable[[GridCell], Length] = measure, *, num_processes: int = 1
) -> dict[str, Length]:
    return {
        cell.router: result
        for cell, result in run_cells(cells, work, Length, num_processes=num_processes)
    }


def test_what_is_done_or_cannot_be_is_not_run_again_and_what_failed_is(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "knn", "cannot", "breaks", "rasch")
    assert open_cells(cells) == cells
    results = run_all(cells[:3])
    assert {name: (result.status, result.num_chars) for name, result in results.items()} == {
        "knn": ("done", 3),
        "cannot": ("not_applicable", 0),
        "breaks": ("failed", 0),
    }
    assert [cell.router for cell in open_cells(cells)] == ["breaks", "rasch"]
    stored = read_cell(cells[0].file)
    assert stored is not None
    assert stored.told["num_chars"] == 3


def test_a_damaged_result_is_run_again(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "knn")
    run_all(cells)
    cells[0].file.write_bytes(b"half a file")
    assert open_cells(cells) == cells


def test_why_a_router_has_no_figures_is_its_first_trouble(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "knn", "cannot", "breaks", num_seeds=2)
    run_all([cell for cell in cells if (cell.router, cell.seed) != ("knn", 1)])
    assert find_failures(cells) == {
        "cannot": "not applicable: it has no name",
        "breaks": "failed on seed 0: ZeroDivisionError: on two lines",
        "knn": "seed 1 was not run",
    }


def test_a_process_that_dies_is_kept_as_a_failure(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "knn", "dies", "rasch")
    results = run_all(cells, num_processes=2)
    assert {name: result.status for name, result in results.items()} == {
        "knn": "done",
        "rasch": "done",
        "dies": "failed",
    }
    assert find_failures(cells) == {
        "dies": "failed on seed 0: its process died, perhaps for want of memory"
    }


def test_what_breaks_outside_the_router_ends_the_run(tmp_path: Path) -> None:
    def lose_the_data(cell: GridCell) -> Length:
        raise FileNotFoundError("the data is gone")

    cells = cells_of(tmp_path, "knn")
    with pytest.raises(FileNotFoundError, match="the data is gone"):
        run_all(cells, lose_the_data)
    assert open_cells(cells) == cells


def test_an_interruption_is_no_failure_of_the_router(tmp_path: Path) -> None:
    def interrupt() -> Length:
        raise KeyboardInterrupt

    [cell] = cells_of(tmp_path, "knn")
    with pytest.raises(KeyboardInterrupt):
        finish(cell, interrupt, Length)
    assert not cell.file.exists()


@pytest.fixture
def _fresh_bench() -> None:
    prepared_split._load.cache_clear()
    prepared_split._prepare.cache_clear()


def run_variant(cell: GridCell) -> CellResult:
    """The graph router, with the settings of the cell."""
    return fit_and_ask(
        cell, lambda prepared: gr.GraphRouter.fit(prepared.data, cell.config, split=prepared.split)
    )


@pytest.mark.usefixtures("_fresh_bench")
def test_a_study_of_settings_needs_its_cells_and_what_to_fit_alone(tmp_path: Path) -> None:
    gr.simulate(num_queries=120, num_models=4, seed=7).data.save(tmp_path / "world")
    quick = [
        "training.max_epochs=0",
        "training.steps_per_epoch=2",
        "encoder.name=hashing",
        "encoder.dimension=64",
    ]
    variants = {
        "graphrouter": quick,
        "narrow": [*quick, "network.width=8"],
        "simple": [*quick, "network.num_heads=2"],
    }
    datasets = read_datasets([str(tmp_path / "world")])
    cells = tuple(
        GridCell(
            place,
            data.name,
            data.fingerprint,
            name,
            set_seeds(gr.load_config(overrides=words), seed),
            tmp_path / CELLS,
        )
        for place, data in datasets.items()
        for seed in range(2)
        for name, words in variants.items()
    )
    for _, result in run_cells(open_cells(cells), run_variant, CellResult, num_processes=1):
        assert result.status == "done", result.message
    assert open_cells(cells) == []
    [found] = collect(
        Plan(cells, {place: data.name for place, data in datasets.items()}, tmp_path), num_draws=20
    )
    figures = found.evaluation.settings["task_hidden"]
    assert list(figures.routers) == ["graphrouter", "narrow", "simple", "oracle"]
    assert found.evaluation.seeds == (0, 1)
    paired = figures.paired["narrow"]["log_loss"].value
    assert paired == pytest.approx(
        figures.routers["graphrouter"]["log_loss"].value
        - figures.routers["narrow"]["log_loss"].value
    )
    assert paired != 0


@pytest.mark.usefixtures("_fresh_bench")
def test_the_cells_of_a_split_share_one_bench(tmp_path: Path) -> None:
    gr.simulate(num_queries=120, num_models=4, seed=7).data.save(tmp_path / "world")
    place = str(tmp_path / "world")
    config = gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=64"])
    wider = gr.load_config(
        overrides=["encoder.name=hashing", "encoder.dimension=64", "network.width=16"]
    )
    first, same, other = (
        GridCell(place, "world", "0" * 16, "graphrouter", set_seeds(settings, seed), tmp_path)
        for settings, seed in ((config, 0), (wider, 0), (config, 1))
    )
    prepared = prepare_split(first)
    assert prepare_split(same) is prepared
    assert set(prepared.evaluation_set.query_ids) == set(prepared.split.test)
    some = sorted(prepared.split.test)[:5]
    smaller = prepared.build_evaluation_set(some)
    assert smaller.query_ids == tuple(some)
    assert smaller.cost_scale == prepared.evaluation_set.cost_scale
    np.testing.assert_array_equal(
        smaller.observed.effect, prepared.evaluation_set.observed.effect[:5]
    )
    assert prepare_split(other).split.test != prepared.split.test
