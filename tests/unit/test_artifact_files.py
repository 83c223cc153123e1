"""A stranger's artifact: nothing outside of its folder is read, and no more than its files hold."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import graphrouter as gr
from graphrouter import artifact_tables
from graphrouter.artifact import MANIFEST, ArtifactContents, read_artifact, write_artifact
from graphrouter.artifact_files import make_entry
from graphrouter.artifact_manifest import checksum_manifest, encode_manifest
from graphrouter.artifact_tables import to_frame
from graphrouter.exceptions import ArtifactError, GraphRouterError

ROUTERS = Path(__file__).parents[1] / "data" / "format4"
CONTENTS = ArtifactContents(
    {"kind": "test"},
    {"weights": {"a": np.arange(4)}},
    {"pool": pd.DataFrame({"model": ["x", "y"]})},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "artifact", CONTENTS)
    return tmp_path / "artifact"


def forge(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest as somebody would who knows how checksums are made."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    change(manifest)
    manifest["checksum"] = checksum_manifest(manifest)
    (folder / MANIFEST).write_bytes(encode_manifest(manifest))


def put(folder: Path, kind: Any, name: str, blob: bytes) -> None:
    """Put a file with these bytes into the artifact, in the place of that part."""
    entry = make_entry(kind, name, blob)
    (folder / entry.file).write_bytes(blob)
    forge(folder, lambda manifest: manifest["files"].update({name: entry._asdict()}))


@pytest.mark.parametrize(
    "file",
    [
        "../secret.parquet",
        "/etc/passwd",
        "sub/pool.parquet",
        "..",
        "",
        "manifest.json",
        5,
        None,
        ["x"],
    ],
)
def test_a_file_name_that_is_none_of_an_artifact_is_refused(folder: Path, file: object) -> None:
    (folder.parent / "secret.parquet").write_bytes((folder / MANIFEST).read_bytes())
    forge(folder, lambda manifest: manifest["files"]["pool"].update(file=file))
    with pytest.raises(ArtifactError, match="names a file that no artifact has: pool: "):
        read_artifact(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "code"),
        ("kind", ["tables"]),
        ("kind", None),
        ("sha256", "f" * 63),
        ("sha256", 7),
        ("num_bytes", -1),
        ("num_bytes", 1.0),
        ("num_bytes", True),
        ("num_bytes", "9"),
        ("more", 1),
    ],
)
def test_an_entry_that_is_none_is_refused(folder: Path, field: str, value: object) -> None:
    forge(folder, lambda manifest: manifest["files"]["pool"].update({field: value}))
    with pytest.raises(ArtifactError, match="names a file that no artifact has"):
        read_artifact(folder)


@pytest.mark.parametrize("files", [None, [], "pool", 3, {"pool": None}, {"pool": []}, {"pool": {}}])
def test_files_that_are_no_mapping_of_entries_are_refused(folder: Path, files: object) -> None:
    forge(folder, lambda manifest: manifest.update(files=files))
    with pytest.raises(ArtifactError, match="names no files|names a file that no artifact has"):
        read_artifact(folder)


@pytest.mark.parametrize("name", ["../pool", "a/b", "", "x" * 65, "a.b", "a b"])
def test_the_name_of_a_part_leads_nowhere_else(folder: Path, name: str) -> None:
    def move(manifest: dict[str, Any]) -> None:
        entry = manifest["files"].pop("pool")
        manifest["files"][name] = {**entry, "file": entry["file"].replace("pool", name, 1)}

    forge(folder, move)
    with pytest.raises(ArtifactError, match="names a file that no artifact has"):
        read_artifact(folder)


@pytest.mark.parametrize("which", ["manifest", "pool"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, which: str) -> None:
    file = next(folder.glob(f"{which}.*"))
    outside = folder.parent / "outside"
    file.rename(outside)
    file.symlink_to(outside)
    with pytest.raises(ArtifactError, match="is a link that leads out of its folder"):
        read_artifact(folder)
    file.unlink()
    outside.rename(folder / "inside")
    file.symlink_to("inside")
    assert list(read_artifact(folder).tables["pool"]["model"]) == ["x", "y"]


def test_what_is_no_plain_file_is_missing(folder: Path) -> None:
    file = next(folder.glob("pool.*"))
    file.unlink()
    os.mkfifo(file)  # to open it would wait for ever
    with pytest.raises(ArtifactError, match="is missing"):
        read_artifact(folder)


def test_sizes_are_looked_at_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = next(folder.glob("pool.*"))
    os.truncate(huge, 2**40)  # a file with a hole: it has no bytes on disk
    with pytest.raises(ArtifactError, match="has 1,099,511,627,776 bytes; expected at most"):
        read_artifact(folder)
    os.truncate(huge, 2**32)
    with pytest.raises(ArtifactError, match="is truncated: 4294967296 bytes, expected"):
        read_artifact(folder)
    os.truncate(folder / MANIFEST, 2**40)
    with pytest.raises(ArtifactError, match="manifest.json has 1,099,511,627,776 bytes"):
        read_artifact(folder)


def test_json_that_is_nested_without_end_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("[" * 200_000, encoding="utf-8")
    with pytest.raises(ArtifactError, match="is no valid JSON"):
        read_artifact(folder)
    (folder / MANIFEST).write_text('{"a": ' + "9" * 10_000 + "}", encoding="utf-8")
    with pytest.raises(ArtifactError, match="is no valid JSON"):
        read_artifact(folder)


def to_parquet(table: pa.Table) -> bytes:
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream, compression="zstd")
    return bytes(stream.getvalue())


def test_a_table_that_unfolds_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_tables, "_SPARE_BYTES", 2**20)
    bombs = {
        "rows": pa.table({"a": pa.nulls(5_000_000, pa.int8())}),
        "zeros": pa.table({"a": np.zeros(1_000_000)}),
        "texts": pa.table({"a": ["x" * 100_000] * 200}),
        "list": pa.table({"a": pa.array([np.zeros(1_000_000)])}),
    }
    for name, table in bombs.items():
        blob = to_parquet(table)
        assert len(blob) < 50_000, name
        put(folder, "tables", "pool", blob)
        with pytest.raises(ArtifactError, match="would take .* bytes of memory; expected at most"):
            to_frame(read_artifact(folder).tables["pool"])
        with pytest.raises(ArtifactError, match="would take .* bytes of memory; expected at most"):
            read_artifact(folder).tables["pool"]["a"]
    put(folder, "tables", "pool", to_parquet(pa.table({"model": ["z"] * 1000})))
    assert len(read_artifact(folder).tables["pool"]) == 1000


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"PAR1",
        b"PAR1" + b"\xff" * 40 + b"PAR1",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,4]}}',
        struct.pack("<Q", 62) + b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_o":0}}',
        struct.pack("<Q", 50_000) + b"[" * 50_000,
    ],
)
@pytest.mark.parametrize("kind", ["tensors", "tables"])
def test_bytes_that_somebody_made_by_hand_are_refused_or_empty(
    folder: Path, kind: Any, blob: bytes
) -> None:
    put(folder, kind, "made", blob)
    message = find_error(lambda: read_artifact(folder))
    if message is None:
        assert read_artifact(folder).tensors["made"] == {}
    else:
        assert "cannot be read" in message


def find_error(call: Callable[[], object]) -> str | None:
    """What it is refused with; anything else than an error of ours ends the test."""
    try:
        call()
    except GraphRouterError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["graphrouter", "knn"])
@pytest.mark.parametrize("value", [None, [], {"a": 3}])
def test_a_router_of_made_up_parts_is_refused(tmp_path: Path, name: str, value: object) -> None:
    folder = tmp_path / name
    shutil.copytree(ROUTERS / name, folder)
    good = (folder / MANIFEST).read_bytes()
    ignored = {"checksum", "libraries", "metrics", "num_models", "num_outcomes", "num_queries"}
    for key in sorted(set(json.loads(good)) - ignored):
        (folder / MANIFEST).write_bytes(good)
        forge(folder, lambda manifest, key=key: manifest.update({key: value}))  # type: ignore[misc]
        assert "\n" not in (find_error(lambda: gr.load_router(folder)) or ""), key
        (folder / MANIFEST).write_bytes(good)
        forge(folder, lambda manifest, key=key: manifest.pop(key))  # type: ignore[misc]
        assert "\n" not in (find_error(lambda: gr.load_router(folder)) or ""), key
