"""Results of cells in files: plain values and arrays, written whole or not at all."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from graphrouter.files import replace_file

Status = Literal["done", "failed", "not_applicable"]
"""What became of a cell."""
_MARK = "cell"
"""An entry of every file: one without any tensor is not accepted by all versions of safetensors."""


@dataclass(frozen=True, eq=False)
class GridResult(ABC):
    """What came of a cell.

    A subclass adds what was measured, with defaults: a router that failed has a status and a
    message.
    """

    status: Status
    message: str = ""
    """Why there is no result; empty for a cell that is done."""
    fit_s: float = float("nan")
    """Seconds to fit the router; NaN where nothing was fitted once for all that was asked."""

    @abstractmethod
    def save(self, file: Path) -> None:
        """Write the result to `file`, whole or not at all; see `write_cell`."""


class StoredCell(NamedTuple):
    """What the file of a cell holds."""

    told: dict[str, Any]
    """Plain values by name; status and message among them."""
    models: tuple[str, ...]
    """Columns of the arrays; empty where nothing was predicted."""
    arrays: dict[str, NDArray[Any]]
    """By name; empty when they were not asked for."""


def write_cell(
    file: Path,
    told: Mapping[str, object],
    *,
    models: Sequence[str] = (),
    arrays: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write the values to `file`, whole or not at all.

    Args:
        file: Ends in .safetensors.
        told: Plain values; status and message among them.
        models: Columns of the arrays.
        arrays: By name.
    """
    # In rows: safetensors writes memory as it lies, and columns picked from an array lie one after
    # the other.
    tensors = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    tensors[_MARK] = np.zeros(1)
    metadata = {_MARK: json.dumps(told), "models": json.dumps(models)}
    replace_file(file, lambda partial: save_file(tensors, partial, metadata=metadata))


def read_cell(file: Path, *, with_arrays: bool = True) -> StoredCell | None:
    """What is kept in `file`.

    None when there is no file, or none that can be read: the cell is then run again.
    """
    try:
        with safe_open(file, framework="numpy") as stored:
            metadata = stored.metadata()
            names = [name for name in stored.keys() if name != _MARK] if with_arrays else []  # noqa: SIM118 - no dict
            arrays = {name: stored.get_tensor(name) for name in names}
        told, models = json.loads(metadata[_MARK]), tuple(json.loads(metadata["models"]))
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return StoredCell(told, models, arrays)
