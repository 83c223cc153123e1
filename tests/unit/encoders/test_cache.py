"""The on-disk cache: only misses are encoded, several processes share it, and damage costs time,
not truth."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from graphrouter.encoders.cache import CachedEncoder
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.encoders.text_encoder import Embeddings
from graphrouter.exceptions import EncoderError


class CountingEncoder(HashingEncoder):
    """Remembers what it was asked to encode."""

    def __init__(self, dimension: int = 16, *, revision: str = "1") -> None:
        super().__init__(dimension)
        self.revision = revision
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        self.asked.extend(texts)
        return super().encode(texts, progress=progress)


def test_only_misses_are_encoded_and_each_once(tmp_path: Path) -> None:
    first = CountingEncoder()
    vectors = CachedEncoder(first, tmp_path).encode(["a", "b", "a", ""])
    assert first.asked == ["a", "b", ""]

    second = CountingEncoder()
    again = CachedEncoder(second, tmp_path).encode(["b", "c", "", "a"])
    assert second.asked == ["c"]
    np.testing.assert_array_equal(again[[3, 0, 3, 2]], vectors)
    np.testing.assert_array_equal(vectors, HashingEncoder(16).encode(["a", "b", "a", ""]))


@pytest.mark.parametrize("other", [CountingEncoder(revision="2"), CountingEncoder(32)])
def test_another_revision_or_dimension_shares_nothing(
    tmp_path: Path, other: CountingEncoder
) -> None:
    CachedEncoder(CountingEncoder(), tmp_path).encode(["a"])
    CachedEncoder(other, tmp_path).encode(["a"])
    assert other.asked == ["a"]


def test_runs_of_different_max_chars_do_not_mix(tmp_path: Path) -> None:
    text = "begin " * 50 + "middle " * 50 + "end " * 50
    short = CachedEncoder(HashingEncoder(16, max_chars=100), tmp_path, max_chars=100).encode([text])
    whole = CachedEncoder(HashingEncoder(16), tmp_path).encode([text])
    np.testing.assert_array_equal(short, HashingEncoder(16, max_chars=100).encode([text]))
    np.testing.assert_array_equal(whole, HashingEncoder(16).encode([text]))
    assert not np.array_equal(short, whole)


def test_more_texts_than_one_query_or_commit_takes(tmp_path: Path) -> None:
    texts = [f"text number {i}" for i in range(2500)]
    cached = CachedEncoder(CountingEncoder(), tmp_path)
    expected = HashingEncoder(16).encode(texts)
    np.testing.assert_array_equal(cached.encode(texts), expected)
    np.testing.assert_array_equal(cached.encode(texts), expected)


@pytest.mark.parametrize(
    ("damage", "num_warnings"), [(b"this is no database", 1), (b"", 0)], ids=["garbage", "emptied"]
)
def test_a_damaged_file_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes, num_warnings: int
) -> None:
    cached = CachedEncoder(CountingEncoder(), tmp_path)
    expected = cached.encode(["a", "b"])
    cached.path.write_bytes(damage * 100)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(cached.encode(["a", "b"]), expected)
    assert sum("was damaged" in record.getMessage() for record in caplog.records) == num_warnings

    fresh = CountingEncoder()
    np.testing.assert_array_equal(CachedEncoder(fresh, tmp_path).encode(["a", "b"]), expected)
    assert fresh.asked == []  # the new file works


def test_damage_in_the_middle_of_the_file_never_gives_a_wrong_vector(tmp_path: Path) -> None:
    texts = [f"text number {i}" for i in range(300)]
    expected = CachedEncoder(CountingEncoder(), tmp_path).encode(texts)
    path = next(tmp_path.glob("*.sqlite3"))
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(sound)
        start = int(rng.integers(0, len(sound) - 64))
        damaged[start : start + 64] = rng.bytes(64)
        path.write_bytes(damaged)
        np.testing.assert_array_equal(
            CachedEncoder(CountingEncoder(), tmp_path).encode(texts), expected
        )


def test_a_flipped_bit_in_a_vector_is_a_miss(tmp_path: Path) -> None:
    cached = CachedEncoder(CountingEncoder(), tmp_path)
    expected = cached.encode(["a"])
    with sqlite3.connect(cached.path) as connection:
        blob = bytearray(connection.execute("SELECT vector FROM embeddings").fetchone()[0])
        blob[3] ^= 1
        connection.execute("UPDATE embeddings SET vector = ?", (bytes(blob),))
    connection.close()
    again = CountingEncoder()
    np.testing.assert_array_equal(CachedEncoder(again, tmp_path).encode(["a"]), expected)
    assert again.asked == ["a"]


def test_a_cache_that_cannot_be_used_is_passed_over_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached = CachedEncoder(CountingEncoder(), tmp_path)
    cached.path.mkdir()  # a folder in place of the file: it cannot be opened, whoever runs the test
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(cached.encode(["a"]), HashingEncoder(16).encode(["a"]))
    assert len(caplog.records) == 1
    assert "going on without it" in caplog.text


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EncoderError, match="cache_dir = .*file.* cannot be made"):
        CachedEncoder(CountingEncoder(), tmp_path / "file")


def test_threads_share_one_encoder(tmp_path: Path) -> None:
    cached = CachedEncoder(HashingEncoder(16), tmp_path)
    texts = [f"text {i % 40}" for i in range(120)]
    expected = HashingEncoder(16).encode(texts)
    wrong: list[int] = []

    def work(number: int) -> None:
        for i in range(number, len(texts), 4):
            if not np.array_equal(cached.encode([texts[i]])[0], expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_processes_share_one_file(tmp_path: Path) -> None:
    code = (
        "import sys; from graphrouter.encoders import CachedEncoder, HashingEncoder\n"
        "cached = CachedEncoder(HashingEncoder(16), sys.argv[1])\n"
        "for i in range(60): cached.encode([f'text {i}', f'{sys.argv[2]} {i}'])\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(tmp_path), name],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in running] == [
        ("", 0),
        ("", 0),
    ]
    counting = CountingEncoder()
    cached = CachedEncoder(counting, tmp_path)
    cached.encode([f"{name} {i}" for name in ("text", "left", "right") for i in range(60)])
    assert counting.asked == []
