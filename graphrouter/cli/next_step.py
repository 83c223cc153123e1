"""`graphrouter` without a command: what lies in the folder, and what to do with it next."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrouter.cli.render import say, say_line

_MOST_FOLDERS, _MOST_FILES, _DEPTH = 200, 50, 2
_SKIPPED = {"build", "dist", "lightning_logs", "mlartifacts", "node_modules", "site", "tests"}
_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")
_CALL_KEYS = {"choices", "messages", "request", "response", "request_body", "trace_id", "traces"}
"""Keys of which a line of a log of calls has at least one."""
_MOST_CHARS = 1_000_000


@dataclass(frozen=True)
class Step:
    """Something that lies there, and the commands that go on from it."""

    found: str
    commands: tuple[str, ...]


def show_next_step(folder: Path) -> None:
    """Write what lies in `folder` and up to two levels below, and which commands go on from it."""
    say("graphrouter learns from graded answers which language model to ask.")
    step = find_step(folder)
    say()
    say_line(step.found)
    for command in step.commands:
        say_line(f"  {command}")
    say()
    say("All commands: graphrouter --help. Is the installation sound? graphrouter doctor")


def find_step(folder: Path) -> Step:
    """What to do next, by what lies in a folder.

    An artifact is gone on with before the data that it may be of, data before logs.
    """
    places = list(_walk(folder))
    artifacts = [place for place in places if _is_artifact(place)]
    datasets = [place for place in places if _is_dataset(place)]
    files = _list_files(folder)
    tables = [file for file in files if {"prompt", "model", "effect"} <= _read_columns(file)]
    ungraded = [file for file in files if {"prompt", "model"} <= _read_columns(file)]
    logs = [file for file in files if _CALL_KEYS & _read_columns(file)]
    if artifacts:
        data = _name((*datasets, *tables)[0], folder) if datasets or tables else "DATA"
        return _go_on_from_artifact(_name(artifacts[0], folder), data, folder)
    if datasets:
        return _go_on_from_dataset(_name(datasets[0], folder))
    if tables:
        return _go_on_from_table(_name(tables[0], folder))
    if ungraded:
        return _go_on_from_calls(_name(ungraded[0], folder))
    return _go_on_from_log(_name(logs[0], folder)) if logs else _start()


def _start() -> Step:
    return Step(
        "There are no graded answers here yet. See it work on simulated ones:",
        (
            "graphrouter demo",
            "graphrouter data simulate --out world --queries 300",
            "graphrouter train world --instant --out artifacts/mine",
        ),
    )


def _go_on_from_log(name: str) -> Step:
    return Step(
        f"{name} looks like a log of calls. Make it a dataset; --help says whose logs are read:",
        (
            "graphrouter data convert --help",
            f"graphrouter data convert --from NAME {name} --out data/mine",
        ),
    )


def _go_on_from_calls(name: str) -> Step:
    return Step(
        f"{name} holds calls without an effect. Make it a dataset; a score, rating or thumb of it "
        "may be the grade:",
        (
            f"graphrouter data convert --from table {name} --out data/mine",
            "graphrouter data describe data/mine",
        ),
    )


def _go_on_from_table(name: str) -> Step:
    return Step(
        f"{name} holds graded answers. They are a router at once:",
        (f"graphrouter train {name} --instant --out artifacts/mine",),
    )


def _go_on_from_dataset(name: str) -> Step:
    return Step(
        f"{name} holds a dataset. Look at it, and train a router:",
        (
            f"graphrouter data describe {name}",
            f"graphrouter train {name} --out artifacts/mine",
        ),
    )


def _go_on_from_artifact(name: str, data: str, folder: Path) -> Step:
    commands = [
        f"graphrouter route {name} 'your prompt'",
        f"graphrouter evaluate {name} {data}",
        f"graphrouter pool list {name}",
    ]
    if (folder / "upstreams.yaml").is_file():
        commands.append(f"graphrouter serve {name} --upstreams upstreams.yaml")
    if (folder / "graphrouter.db").is_file():
        commands.append("graphrouter spend graphrouter.db")
    return Step(f"{name} holds a router. Ask it:", tuple(commands))


def _walk(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """The folder and those below it, no deeper than `depth` and not many of them."""
    yield folder
    if depth == 0:
        return
    below: list[Path] = []
    with suppress(OSError):  # one that may not be read
        below = sorted(path for path in folder.iterdir() if path.is_dir())
    wanted = [p for p in below if not p.name.startswith((".", "_")) and p.name not in _SKIPPED]
    for path in wanted[:_MOST_FOLDERS]:
        yield from _walk(path, depth - 1)


def _is_artifact(folder: Path) -> bool:
    manifest = _read_json(folder / "manifest.json")
    return isinstance(manifest, dict) and "format_version" in manifest


def _is_dataset(folder: Path) -> bool:
    return all(
        any((folder / f"{table}{suffix}").is_file() for suffix in _SUFFIXES)
        for table in ("queries", "models", "outcomes")
    )


def _list_files(folder: Path) -> list[Path]:
    """The files of the folder itself that may be a table or a log."""
    wanted = (*_SUFFIXES, ".json")
    files = sorted(path for path in folder.iterdir() if path.suffix in wanted and path.is_file())
    return files[:_MOST_FILES]


def _read_columns(file: Path) -> set[str]:
    """The columns of a table, or the keys of the first line of a log; none where it is neither."""
    with suppress(OSError, ValueError, csv.Error):
        if file.suffix == ".parquet":
            import pyarrow.parquet

            return set(pyarrow.parquet.read_schema(file).names)
        if file.suffix == ".json":
            found = _read_json(file)
        else:
            with file.open(encoding="utf-8", newline="") as lines:
                first = lines.readline(_MOST_CHARS)
            if file.suffix != ".jsonl":
                separator = "\t" if file.suffix == ".tsv" else ","
                return set(next(csv.reader([first], delimiter=separator), []))
            found = json.loads(first)
        first_row = found[0] if isinstance(found, list) and found else found
        return set(first_row) if isinstance(first_row, dict) else set()
    return set()


def _read_json(file: Path) -> Any:
    """What a file of moderate size holds; None where it cannot be read."""
    with suppress(OSError, ValueError):
        if file.stat().st_size <= _MOST_CHARS:
            return json.loads(file.read_text(encoding="utf-8"))
    return None


def _name(path: Path, folder: Path) -> str:
    """A path as it may be typed in the folder."""
    return shlex.quote(str(path.relative_to(folder)))
