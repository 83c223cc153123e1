"""`graphrouter` without a command: what lies in the folder, and what to do with it next."""

from __future__ import annotations

import csv
import gzip
import json
import shlex
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrouter.cli.render import say, say_line

_MOST_FOLDERS, _MOST_FILES, _DEPTH = 200, 50, 2
_SKIPPED = {"build", "dist", "lightning_logs", "mlartifacts", "node_modules", "site", "tests"}
_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")
_LOG_SUFFIXES = (*_SUFFIXES, ".json", ".ndjson", ".gz")
_MOST_CHARS = 1_000_000
_LISTS, _MOST_MEMBERS_OF_A_PAGE = ("data", "traces", "result"), 3
"""Members of an answer of an API that hold its records, beside few others."""


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
    first_rows = {file: _read_first_row(file) for file in files}
    tables = [file for file, row in first_rows.items() if {"prompt", "model", "effect"} <= set(row)]
    if artifacts:
        data = _name((*datasets, *tables)[0], folder) if datasets or tables else "DATA"
        return _go_on_from_artifact(_name(artifacts[0], folder), data, folder)
    if datasets:
        return _go_on_from_dataset(_name(datasets[0], folder))
    if tables:
        return _go_on_from_table(_name(tables[0], folder))
    return _find_log(first_rows, folder) or _start()


def _find_log(first_rows: Mapping[Path, Mapping[str, Any]], folder: Path) -> Step | None:
    """What to do with the first file that looks like a log; None where none does."""
    rows = {file: row for file, row in first_rows.items() if row}
    if not rows:
        return None
    from graphrouter.logs import find_form  # it brings pandas

    forms = {file: find_form(row) for file, row in rows.items()}
    found = next(((file, form) for file, form in forms.items() if form is not None), None)
    if found is None:
        return None
    file, form = found
    is_split = form == "langfuse" or "custom_id" in rows[file]  # into files of one folder
    place = file.parent if is_split and file.parent != folder else file
    return _go_on_from_log(_name(place, folder), form)


def _start() -> Step:
    return Step(
        "There are no graded answers here yet. See it work on simulated ones:",
        (
            "graphrouter demo",
            "graphrouter data simulate --out world --queries 300",
            "graphrouter train world --instant --out artifacts/mine",
        ),
    )


def _go_on_from_log(name: str, form: str) -> Step:
    what = "calls without an effect" if form == "table" else f"a log of calls ({form})"
    return Step(
        f"{name} holds {what}. Make it a dataset; a score, rating or thumb of it may be the grade:",
        (
            f"graphrouter data convert --from {form} {name} --out data/mine",
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
        f"graphrouter savings {name} {data} --baseline MODEL --out savings.html",
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
    """The files of the folder, then of those right below it, that may be a table or a log."""
    places = _walk(folder, depth=1)
    files = [path for place in places for path in _list_sorted(place) if path.is_file()]
    return [path for path in files if path.suffix in _LOG_SUFFIXES][:_MOST_FILES]


def _list_sorted(folder: Path) -> list[Path]:
    with suppress(OSError):  # one that may not be read
        return sorted(folder.iterdir())
    return []


def _read_first_row(file: Path) -> Mapping[str, Any]:
    """The first row of a table or a log, of tables the names alone; empty where it is neither."""
    with suppress(OSError, ValueError, EOFError, csv.Error, zlib.error, RecursionError):
        suffix = Path(file.stem).suffix if file.suffix == ".gz" else file.suffix
        if suffix == ".parquet":
            import pyarrow.parquet

            return dict.fromkeys(pyarrow.parquet.read_schema(file).names)
        opener = gzip.open if file.suffix == ".gz" else open
        with opener(file, "rt", encoding="utf-8-sig", newline="") as lines:
            start = lines.read(_MOST_CHARS).lstrip()
        if suffix != ".json":
            start = start.partition("\n")[0]
        if suffix in (".csv", ".tsv"):
            separator = "\t" if suffix == ".tsv" else ","
            return dict.fromkeys(next(csv.reader([start], delimiter=separator), []))
        return _read_first_object(start)
    return {}


def _read_first_object(text: str) -> Mapping[str, Any]:
    """The first object of JSON that may go on: of lines, of a list, or of the page of an API."""
    try:
        found = json.loads(text)
    except ValueError:
        begin = max(text.find("{"), 0)
        found, _ = json.JSONDecoder().raw_decode(text, begin)
    if isinstance(found, dict):
        held = [found[name] for name in _LISTS if isinstance(found.get(name), list)]
        found = held[0] if held and len(found) <= _MOST_MEMBERS_OF_A_PAGE else found
    first = found[0] if isinstance(found, list) and found else found
    return first if isinstance(first, dict) else {}


def _read_json(file: Path) -> Any:
    """What a file of moderate size holds; None where it cannot be read."""
    with suppress(OSError, ValueError):
        if file.stat().st_size <= _MOST_CHARS:
            return json.loads(file.read_text(encoding="utf-8"))
    return None


def _name(path: Path, folder: Path) -> str:
    """A path as it may be typed in the folder."""
    name = str(path.relative_to(folder))
    return shlex.quote(f"./{name}" if name.startswith("-") else name)
