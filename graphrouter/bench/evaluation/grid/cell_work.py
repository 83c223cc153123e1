"""Cells worked on in processes: what is done is skipped, what fails is kept with its reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import numpy as np

from graphrouter.bench.evaluation.grid.cell_files import GridResult, Status, read_cell
from graphrouter.bench.evaluation.grid.grid_cell import GridCell
from graphrouter.exceptions import NotApplicableError
from graphrouter.nn.layers import cpu_threads
from graphrouter.processes import Spread, spread

AnyCell = TypeVar("AnyCell", bound=GridCell)
AnyResult = TypeVar("AnyResult", bound=GridResult)
Unfinished = Callable[[Status, str], AnyResult]
"""Makes the result of a cell that has none, from status and message: the class of the results."""


def open_cells(cells: Iterable[AnyCell]) -> list[AnyCell]:
    """The cells that are still to be run: those without a result, and those that failed."""
    found = ((cell, read_cell(cell.file, with_arrays=False)) for cell in cells)
    return [cell for cell, stored in found if stored is None or stored.told["status"] == "failed"]


def run_cells(
    cells: Sequence[AnyCell],
    work: Callable[[AnyCell], AnyResult],
    unfinished: Unfinished[AnyResult],
    *,
    num_processes: int | None = None,
    spread: Spread = spread,
) -> Iterator[tuple[AnyCell, AnyResult]]:
    """Each cell with its result as it is done; results are kept in the files of the cells.

    Args:
        cells: What to run.
        work: A function at the top of a module that ends in `finish`; its exceptions end the whole
            work.
        unfinished: Class of the results, for a cell that kills its process.
        num_processes: Cells at once; one a core without it.
        spread: Over what they are spread: processes of this machine by default.
    """
    for cell, result in spread(cells, work, num_processes=num_processes or os.cpu_count() or 1):
        if isinstance(result, BrokenProcessPool):
            kept = unfinished("failed", "its process died, perhaps for want of memory")
            kept.save(cell.file)
            yield cell, kept
        else:
            yield cell, result


def finish(
    cell: GridCell, ask: Callable[[], AnyResult], unfinished: Unfinished[AnyResult]
) -> AnyResult:
    """The result of a cell, which is also kept in its file.

    A router that breaks gives a result that says why.

    Args:
        cell: Whose result it is.
        ask: Fits and asks the router, on one thread. What it raises is the router's, so prepare the
            data before.
        unfinished: Class of the results, for a router that breaks.
    """
    try:
        with cpu_threads(1), np.errstate(all="ignore"):
            result = ask()
    except NotApplicableError as error:
        result = unfinished("not_applicable", _one_line(error))
    except (
        Exception
    ) as error:  # whatever breaks in one router must not cost the others their results
        result = unfinished("failed", f"{type(error).__name__}: {_one_line(error)}")
    result.save(cell.file)
    return result


def find_failures(cells: Iterable[GridCell]) -> dict[str, str]:
    """Why a router has no figures, by name: it lacks any of the cells."""
    reasons: dict[str, str] = {}
    for cell in cells:
        stored = read_cell(cell.file, with_arrays=False)
        if stored is None:
            reasons.setdefault(cell.router, f"seed {cell.seed} was not run")
        elif stored.told["status"] != "done":
            what = (
                "not applicable"
                if stored.told["status"] == "not_applicable"
                else f"failed on seed {cell.seed}"
            )
            reasons.setdefault(cell.router, f"{what}: {stored.told['message']}")
    return reasons


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
