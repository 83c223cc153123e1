"""Names of cells: from everything that a result depends on, and such that results of older runs are
found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import graphrouter as gr
from graphrouter.bench.evaluation.benchmark import Cell
from graphrouter.bench.evaluation.grid import GridCell, set_seeds
from graphrouter.bench.evaluation.newcomers import RETRAINED, NewcomerCell
from graphrouter.config import TrainConfig

FINGERPRINT = "0123456789abcdef"


@dataclass(frozen=True)
class Warmer(GridCell):
    """A cell of one's own, with something else that its result depends on."""

    temperature: float = 0.0

    @property
    def circumstances(self) -> Sequence[object]:
        return ["warmth", self.temperature]


def grid_cell(**changed: Any) -> GridCell:
    cell = GridCell(
        "data/world",
        "world",
        FINGERPRINT,
        "graphrouter",
        set_seeds(TrainConfig(), 1),
        Path("cells"),
    )
    return replace(cell, **changed)


def newcomer(router: str, *, task: str | None = None) -> NewcomerCell:
    return NewcomerCell.of(
        "data/world",
        name="world",
        fingerprint=FINGERPRINT,
        router=router,
        seed=2,
        config=TrainConfig(),
        hold_out="models" if task is None else "tasks",
        share=0.3,
        task=task,
        shots=(0, 5, None),
        folder=Path("cells"),
    )


def named(router: str, seed: int, parts: list[object]) -> Path:
    """The file of a cell as all runs so far have named it."""
    identity = hashlib.sha256(
        json.dumps([1, gr.__version__, FINGERPRINT, router, *parts], sort_keys=True).encode()
    ).hexdigest()
    return Path("cells", "world-01234567", f"seed{seed}", f"{router}-{identity[:12]}.safetensors")


def plain(seed: int, *, with_network: bool = True) -> dict[str, Any]:
    settings = TrainConfig().model_dump(mode="json")
    del settings["encoder"]["cache_dir"]
    settings["seed"] = settings["split"]["seed"] = seed
    return (
        settings
        if with_network
        else {name: settings[name] for name in ("seed", "encoder", "split")}
    )


@pytest.mark.parametrize("router", ["graphrouter", "knn"])
def test_the_cells_of_an_older_benchmark_are_found(router: str) -> None:
    cell = Cell(
        "data/world", "world", FINGERPRINT, router, set_seeds(TrainConfig(), 1), Path("cells")
    )
    assert cell.file == named(router, 1, [plain(1, with_network=router == "graphrouter")])


@pytest.mark.parametrize(
    ("router", "task", "with_network", "circumstances"),
    [
        ("graphrouter", None, True, ["newcomers", "models", 0.3, None, [0, 5, None]]),
        ("rasch", "sums", False, ["newcomers", "tasks", 0.3, "sums", [0, 5, None]]),
        (RETRAINED, "sums", True, ["newcomers"]),
    ],
)
def test_the_cells_of_an_older_comparison_on_newcomers_are_found(
    router: str, task: str | None, with_network: bool, circumstances: list[object]
) -> None:
    assert newcomer(router, task=task).file == named(
        router, 2, [plain(2, with_network=with_network), *circumstances]
    )


def test_every_circumstance_has_a_file_of_its_own() -> None:
    wider = gr.load_config(overrides=["network.width=16"])
    common = (
        "data/world",
        "world",
        FINGERPRINT,
        "graphrouter",
        set_seeds(TrainConfig(), 1),
        Path("cells"),
    )
    files = [
        grid_cell().file,
        grid_cell(fingerprint="f" * 16).file,
        grid_cell(router="no_ability").file,
        grid_cell(config=set_seeds(TrainConfig(), 2)).file,
        grid_cell(config=set_seeds(wider, 1)).file,
        Warmer(*common).file,
        Warmer(*common, temperature=1.0).file,
    ]
    assert len({file.name for file in files}) == len(files)


def test_the_cache_of_embeddings_and_the_place_of_the_data_change_no_name() -> None:
    encoder = TrainConfig().encoder.model_copy(update={"cache_dir": "elsewhere"})
    moved = set_seeds(TrainConfig(encoder=encoder), 1)
    assert grid_cell(config=moved, data="other/world").file == grid_cell().file


def test_a_seed_leaves_the_other_settings_alone() -> None:
    config = gr.load_config(overrides=["split.test=0.3", "training.max_epochs=2"])
    assert (
        set_seeds(config, 4).model_dump()
        == gr.load_config(
            overrides=["split.test=0.3", "training.max_epochs=2", "seed=4", "split.seed=4"]
        ).model_dump()
    )
    assert config.seed == config.split.seed == 0
