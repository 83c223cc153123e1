"""What a grid is filled from, and the folder that keeps its cells and embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, load_dataset
from graphrouter.exceptions import DataError
from graphrouter.locks import LOCK_FILES

CELLS = "cells"
"""Name of the folder with a file for each result."""
EMBEDDINGS = "embeddings"


def read_datasets(places: Iterable[str]) -> dict[str, RoutingDataset]:
    """Each dataset by its place, in the given order; a place that is named twice counts once.

    Args:
        places: Folders, or `simulated`.

    Raises:
        DataError: A dataset cannot be read, or two of them have the same name.
    """
    found = {place: load_dataset(place) for place in dict.fromkeys(places)}
    names = [data.name for data in found.values()]
    if len(set(names)) < len(names):
        raise DataError(
            f"Two datasets are called the same: {', '.join(names)}. Rename one of the folders."
        )
    return found


def keep_embeddings(config: TrainConfig, folder: Path) -> TrainConfig:
    """The settings with embeddings cached in the folder of the grid, unless they say where.

    So each text is encoded once.
    """
    if config.encoder.cache_dir is not None:
        return config
    encoder = config.encoder.model_copy(update={"cache_dir": str(folder / EMBEDDINGS)})
    return config.model_copy(update={"encoder": encoder})


def check_folder(folder: Path) -> None:
    """Check that `folder` is that of a grid, or empty, or new.

    Raises:
        DataError: It holds something else.
    """
    if not folder.is_dir() or (folder / CELLS).is_dir():
        return
    if any(path.name not in LOCK_FILES for path in folder.iterdir()):
        raise DataError(
            f"{folder} holds other files than those of a benchmark. Name a new folder, or an "
            "earlier benchmark."
        )
