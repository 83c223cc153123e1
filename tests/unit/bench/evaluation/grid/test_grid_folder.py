"""Where a grid reads and keeps: names that clash and folders of others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.evaluation.grid import CELLS, check_folder, keep_embeddings, read_datasets
from graphrouter.config import TrainConfig
from graphrouter.exceptions import DataError


def test_datasets_are_read_once_in_the_given_order(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    places = [str(tmp_path / name) for name in ("b", "a")]
    for place in places:
        data.save(Path(place))
    assert [
        (place, found.name) for place, found in read_datasets([*places, places[0]]).items()
    ] == [
        (places[0], "b"),
        (places[1], "a"),
    ]


def test_namesakes_are_refused(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    for folder in ("one", "two"):
        data.save(tmp_path / folder / "world")
    with pytest.raises(
        DataError, match="called the same: world, world. Rename one of the folders."
    ):
        read_datasets([str(tmp_path / folder / "world") for folder in ("one", "two")])


def test_a_folder_is_new_empty_or_that_of_a_grid(tmp_path: Path) -> None:
    check_folder(tmp_path / "new")
    check_folder(tmp_path)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds other files"):
        check_folder(tmp_path)
    (tmp_path / CELLS).mkdir()
    check_folder(tmp_path)


def test_embeddings_are_cached_in_the_folder_unless_the_settings_say_where(tmp_path: Path) -> None:
    kept = keep_embeddings(TrainConfig(), tmp_path)
    assert kept.encoder.cache_dir == str(tmp_path / "embeddings")
    assert keep_embeddings(kept, tmp_path / "other") is kept
