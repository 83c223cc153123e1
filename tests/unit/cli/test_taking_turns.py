"""Commands that write several files into a folder wait for whoever is writing there."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from graphrouter.locks import lock_folder

Invoke = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("command", "words", "file"),
    [
        ("benchmark", ["--routers", "best_single", "--draws", 20, "--jobs", 1], "results.parquet"),
        ("tune", ["--trials", 1, "--space", "space.yaml"], "best.yaml"),
    ],
)
def test_results_are_written_when_the_other_has_ended(
    command: str,
    words: list[object],
    file: str,
    invoke: Invoke,
    world: Path,
    fast_options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, asked, seen = tmp_path / "out", threading.Event(), []
    out.mkdir()
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text("network.dropout: {low: 0.0, high: 0.5}\n")
    module = importlib.import_module(f"graphrouter.cli.{command}")

    @contextmanager
    def ask(folder: Path) -> Iterator[None]:
        asked.set()
        with lock_folder(folder):
            yield

    def hold() -> None:
        with lock_folder(out):
            held.set()
            asked.wait(120)
            time.sleep(0.3)
            seen.append((asked.is_set(), (out / file).exists()))

    held = threading.Event()
    monkeypatch.setattr(module, "lock_folder", ask)
    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    status, _, errors = invoke(command, world, *words, "--out", out, *fast_options)
    other.join()
    assert status == 0, errors
    assert seen == [(True, False)]
    assert (out / file).exists()
