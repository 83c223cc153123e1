"""Rows in a file: the same numbers as in memory, no name, and no memory that grows with them."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from graphrouter.features.prompts import PromptTransform
from graphrouter.features.row_files import RowFile

ROWS = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)


@pytest.fixture
def filed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RowFile:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return RowFile.of(ROWS)


@pytest.mark.parametrize(
    "rows",
    [
        slice(5, 70),
        slice(0, 0),
        slice(None, None, 3),
        np.array([3, 4, 5, 9, 2]),
        np.array([7, 7, 8]),
        np.array([], dtype=np.int64),
        np.arange(300) % 7 == 0,
    ],
)
def test_what_is_read_is_what_was_written(filed: RowFile, rows: np.ndarray | slice) -> None:
    assert np.array_equal(filed[rows], ROWS[rows])
    assert (len(filed), filed.shape) == (300, (300, 5))


def test_a_tensor_of_positions_gets_a_tensor(filed: RowFile) -> None:
    rows = torch.tensor([299, 0, 17])
    assert torch.equal(filed[rows], torch.from_numpy(ROWS)[rows])


def test_parts_are_written_in_their_place(filed: RowFile) -> None:
    filed.write(10, -ROWS[:3])
    assert np.array_equal(filed[9:14], np.concatenate([ROWS[9:10], -ROWS[:3], ROWS[13:14]]))
    assert np.array_equal(np.concatenate(list(filed.iterate_blocks()))[20:], ROWS[20:])


@pytest.mark.parametrize("row", [-1, 300])
def test_a_row_that_is_not_there_is_refused(filed: RowFile, row: int) -> None:
    with pytest.raises(IndexError, match=f"Rows {row} to {row} of a file of 300 rows"):
        filed[np.array([row])]


def test_the_file_has_no_name_and_goes_with_its_holder(filed: RowFile, tmp_path: Path) -> None:
    """So that nothing is left after an error or a kill."""
    assert not list(tmp_path.iterdir())
    number = filed._file.fileno()
    assert os.fstat(number).st_nlink == 0
    del filed


def test_a_full_disk_is_told_at_once_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int, first: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    before = _count_open_files()
    with pytest.raises(OSError, match="No space left"):
        RowFile.zeros(1_000, 10)
    assert _count_open_files() == before
    assert not list(tmp_path.iterdir())


def _count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class _SentFile:
    """A file on its way to a process that is spawned, without the process."""

    def __init__(self, number: int) -> None:
        self._number = os.dup(number)

    def detach(self) -> int:
        return self._number


def test_a_spawned_process_reads_the_same_file(
    filed: RowFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiprocessing.reduction.DupFd", _SentFile)
    make, sent = filed.__reduce__()
    there = make(*sent)
    filed.write(7, -ROWS[:1])
    assert np.array_equal(there[7:9], np.concatenate([-ROWS[:1], ROWS[8:9]]))


def test_coordinates_of_filed_prompts_are_those_in_memory_in_a_part_of_it() -> None:
    """10 MB of prompts and as much of what is made of them: a few blocks are in memory."""
    rng = np.random.default_rng(1)
    embeddings = rng.random((20_000, 128), dtype=np.float32)
    surface = rng.random((20_000, 3), dtype=np.float32)
    transform = PromptTransform.fit(embeddings[:200], surface[:200])
    filed = RowFile.of(embeddings)
    tracemalloc.start()
    try:
        text = transform.text(filed)
        of_text = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert of_text < embeddings.nbytes / 2
    assert np.array_equal(text[:], transform.text(embeddings))
    some = RowFile.of(embeddings[:1_500])
    principal = transform.principal(some, surface[:1_500])
    assert np.array_equal(principal[:], transform.principal(embeddings[:1_500], surface[:1_500]))
