"""An artifact is read back as it was written or refused; a crash leaves the old one or the new one,
whole."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphrouter
from graphrouter import artifact, artifact_manifest
from graphrouter.artifact import (
    FORMAT_VERSION,
    KEPT_VERSIONS,
    MANIFEST,
    ArtifactContents,
    check_writable,
    list_versions,
    read_artifact,
    read_manifest,
    write_artifact,
)
from graphrouter.artifact_manifest import checksum_manifest, encode_manifest
from graphrouter.artifact_tables import to_frame
from graphrouter.exceptions import ArtifactError


def contents_of(seed: int) -> ArtifactContents:
    """Small contents with a value of every kind; other seeds give other files."""
    generator = np.random.default_rng(seed)
    return ArtifactContents(
        manifest={
            "kind": "test",
            "seed": seed,
            "text": "é ü 中",
            "small": 1.25e-5,
            "third": 1 / 3,
            "list": [1, None, True],
        },
        tensors={
            "weights": {
                "a": generator.normal(size=(3, 2)).astype(np.float32),
                "b": np.arange(4),
                "view": np.ones((4, 4)).T[:2],
            },
            "empty": {"none": np.empty((0, 5))},
        },
        tables={
            "pool": pd.DataFrame({"model": ["x", "y"], "price": [0.5, np.nan], "seed": seed}),
            "nothing": pd.DataFrame({"query_id": pd.Series([], dtype="str")}),
        },
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "made" / "artifact"
    write_artifact(path, contents_of(0))
    return path


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a good artifact by file name."""
    path = tmp_path_factory.mktemp("good")
    write_artifact(path, contents_of(0))
    return {file.name: file.read_bytes() for file in path.iterdir()}


def assert_holds(folder: Path, seed: int) -> None:
    received, expected = read_artifact(folder), contents_of(seed)
    assert {name: received.manifest[name] for name in expected.manifest} == expected.manifest
    assert received.tensors.keys() == expected.tensors.keys()
    for group, tensors in expected.tensors.items():
        assert received.tensors[group].keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert received.tensors[group][name].dtype == tensor.dtype
            np.testing.assert_array_equal(received.tensors[group][name], tensor)
    assert received.tables.keys() == expected.tables.keys()
    for name, table in expected.tables.items():
        pd.testing.assert_frame_equal(to_frame(received.tables[name]), to_frame(table))


def test_what_was_written_is_read_back(folder: Path) -> None:
    assert_holds(folder, 0)


def test_the_manifest_says_what_is_needed_to_judge_the_artifact(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest["format_version"] == FORMAT_VERSION
    assert {"python", "torch", "numpy", "safetensors"} <= set(manifest["libraries"])
    assert {entry["file"] for entry in manifest["files"].values()} == {
        file.name for file in folder.iterdir()
    } - {MANIFEST}
    for entry in manifest["files"].values():
        assert (folder / entry["file"]).stat().st_size == entry["num_bytes"]


def files_of_versions(folder: Path) -> set[str]:
    """What the manifests of all versions name, and they themselves."""
    versions = list_versions(folder)
    files = {entry["file"] for each in versions for entry in each.manifest["files"].values()}
    return files | {MANIFEST, *(f"manifest.{each.name}.json" for each in versions[1:])}


def test_writing_again_keeps_the_last_few_versions_and_sweeps_the_rest(folder: Path) -> None:
    for seed in range(1, KEPT_VERSIONS + 3):
        write_artifact(folder, contents_of(seed))
        assert_holds(folder, seed)
        kept = [version.manifest["seed"] for version in list_versions(folder)]
        assert kept == list(range(seed, max(-1, seed - KEPT_VERSIONS - 1), -1))
        assert {file.name for file in folder.iterdir()} == files_of_versions(folder)


def test_writing_the_same_again_changes_nothing(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    write_artifact(folder, contents_of(0))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_files_of_others_in_an_older_artifact_are_left_alone(folder: Path) -> None:
    others = {
        "notes.md": b"mine",
        "outcomes.parquet": b"mine",
        "best.safetensors": b"mine",
        "run.partial": b"mine",
    }
    for name, blob in others.items():
        (folder / name).write_bytes(blob)
    write_artifact(folder, contents_of(1))
    assert {name: (folder / name).read_bytes() for name in others} == others
    assert_holds(folder, 1)


@pytest.mark.parametrize(
    "check", [check_writable, lambda path: write_artifact(path, contents_of(0))]
)
def test_a_place_with_something_else_is_refused_and_left_alone(
    tmp_path: Path, check: Callable[[Path], None]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(
        ArtifactError, match="is a file; expected a new or empty folder, or an older artifact"
    ):
        check(file)
    with pytest.raises(ArtifactError, match="holds other files. Name a new or empty folder"):
        check(tmp_path)
    with pytest.raises(ArtifactError, match="file is no folder. Name another place"):
        check(file / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text(encoding="utf-8") == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    write_artifact(tmp_path, contents_of(3))
    assert_holds(tmp_path, 3)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(
            ArtifactError,
            match="No artifact at .*: manifest.json is missing. Make one with: graphrouter train",
        ):
            read_artifact(place)


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (2, "Train it again on what it holds: graphrouter migrate .* --out NEW"),
        (0, "Train it again with"),
        (FORMAT_VERSION + 1, "Upgrade graphrouter, or train"),
        (99, "Upgrade"),
        ("5", "Train"),
        (None, "Train"),
    ],
)
def test_another_format_version_is_refused(folder: Path, version: object, remedy: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["format_version"] = version
    manifest["checksum"] = checksum_manifest(manifest)
    (folder / MANIFEST).write_bytes(encode_manifest(manifest))
    with pytest.raises(
        ArtifactError,
        match=f"version {version}; this release reads versions 3, 4, 5, 6, 7 and 8. {remedy}",
    ):
        read_artifact(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", '"manifest"', "{}", "{", "\x00", "\ufeff{}"])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError):
        read_artifact(folder)


def test_an_edited_manifest_is_refused(folder: Path) -> None:
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    assert '"seed": 0' in text
    (folder / MANIFEST).write_text(text.replace('"seed": 0', '"seed": 1'), encoding="utf-8")
    with pytest.raises(
        ArtifactError,
        match="manifest.json was changed after it was written: its checksum does not match",
    ):
        read_artifact(folder)


def test_every_flipped_bit_of_the_manifest_is_refused(
    tmp_path: Path, blobs: dict[str, bytes]
) -> None:
    good, file = blobs[MANIFEST], tmp_path / MANIFEST
    for position in range(len(good)):
        for bit in range(8):
            flipped = bytearray(good)
            flipped[position] ^= 1 << bit
            file.write_bytes(flipped)
            with pytest.raises(ArtifactError):
                read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n", b"\r\n"),
        (b"\n", b" "),
        (b"  ", b"\t"),
        (b"1.25e-05", b"1.25E-05"),
        (b"\\u00e9", b"\\u00E9"),
        (b"}", b"}\n"),
    ],
)
def test_an_edit_that_keeps_every_value_is_refused_too(
    tmp_path: Path, blobs: dict[str, bytes], old: bytes, new: bytes
) -> None:
    edited = blobs[MANIFEST].replace(old, new)
    assert edited != blobs[MANIFEST]
    assert json.loads(edited) == json.loads(blobs[MANIFEST])
    (tmp_path / MANIFEST).write_bytes(edited)
    with pytest.raises(ArtifactError, match="was changed after it was written"):
        read_manifest(tmp_path)


@given(choice=st.integers(0, 3), where=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_of_any_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    blobs: dict[str, bytes],
    choice: int,
    where: float,
    mask: int,
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    for name, blob in blobs.items():
        (folder / name).write_bytes(blob)
    name = sorted(set(blobs) - {MANIFEST})[choice]
    changed = bytearray(blobs[name])
    changed[int(where * len(changed))] ^= mask
    (folder / name).write_bytes(changed)
    with pytest.raises(ArtifactError, match=f"{name} was changed after it was written"):
        read_artifact(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_truncated_and_missing_files_are_refused(folder: Path, keep: float) -> None:
    for file in sorted(folder.iterdir()):
        good = file.read_bytes()
        file.write_bytes(good[: int(keep * len(good))])
        message = "no valid JSON" if file.name == MANIFEST else f"{file.name} is truncated"
        with pytest.raises(ArtifactError, match=message):
            read_artifact(folder)
        file.unlink()
        with pytest.raises(ArtifactError, match=f"{file.name} is missing"):
            read_artifact(folder)
        file.write_bytes(good)
    assert_holds(folder, 0)


class CrashError(Exception):
    """Stands for a power cut."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Lets the n-th call (from 0) of a step of writing fail; every call before it is real."""

    def arm(step: str, number: int) -> None:
        places: list[Any] = [artifact, artifact_manifest] if step == "write_durably" else [os]
        real = getattr(places[0], step)
        calls = iter(range(1000))

        def fail(*args: Any) -> Any:
            if next(calls) == number:
                raise CrashError
            return real(*args)

        for place in places:
            monkeypatch.setattr(place, step, fail)

    return arm


NUM_WRITES = 5  # two groups of tensors, two tables, the manifest


def list_crashes(num_writes: int) -> list[tuple[str, int]]:
    return [
        *[("write_durably", number) for number in range(num_writes)],
        *[("replace", number) for number in range(num_writes)],
        *[("fsync", number) for number in range(2 * num_writes)],
    ]


# Once more for the old manifest, which stays.
@pytest.mark.parametrize(("step", "number"), list_crashes(NUM_WRITES + 1))
def test_a_crash_leaves_the_old_artifact_or_the_new_one(
    folder: Path,
    crash_at: Callable[[str, int], None],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    number: int,
) -> None:
    crash_at(step, number)
    with pytest.raises(CrashError):
        write_artifact(folder, contents_of(1))
    monkeypatch.undo()
    done = (step, number) == ("fsync", 2 * NUM_WRITES + 1)  # the manifest was already in its place
    assert_holds(folder, 1 if done else 0)
    write_artifact(folder, contents_of(2))
    assert_holds(folder, 2)
    assert [each.manifest["seed"] for each in list_versions(folder)] == (
        [2, 1, 0] if done else [2, 0]
    )
    assert {file.name for file in folder.iterdir()} == files_of_versions(folder), (
        "the rest is swept"
    )


@pytest.mark.parametrize(("step", "number"), list_crashes(NUM_WRITES)[:-1])
def test_a_crash_of_the_first_write_leaves_no_artifact_and_can_be_repeated(
    tmp_path: Path,
    crash_at: Callable[[str, int], None],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    number: int,
) -> None:
    crash_at(step, number)
    with pytest.raises(CrashError):
        write_artifact(tmp_path, contents_of(1))
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match="No artifact at"):
        read_artifact(tmp_path)
    write_artifact(tmp_path, contents_of(1))
    assert_holds(tmp_path, 1)
    assert len(list(tmp_path.iterdir())) == NUM_WRITES


def test_a_crash_while_sweeping_leaves_the_new_artifact(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(1, KEPT_VERSIONS + 1):
        write_artifact(folder, contents_of(seed))

    def fail(*args: Any, **kwargs: Any) -> None:
        raise CrashError

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(CrashError):
        write_artifact(folder, contents_of(KEPT_VERSIONS + 1))
    monkeypatch.undo()
    assert_holds(folder, KEPT_VERSIONS + 1)


def test_the_files_are_json_safetensors_and_parquet_and_no_pickle(blobs: dict[str, bytes]) -> None:
    for name, blob in blobs.items():
        suffix = Path(name).suffix
        assert suffix in {".json", ".safetensors", ".parquet"}
        assert blob[:1] != b"\x80"  # the first opcode of every pickle since protocol 2
        assert not blob.startswith(b"PK")  # the archive in which torch.save hides its pickle
        assert {
            ".json": blob[:1] == b"{",
            ".safetensors": blob[8:9] == b"{",
            ".parquet": blob[:4] == b"PAR1",
        }[suffix]


def test_the_package_never_loads_a_pickle() -> None:
    package = Path(graphrouter.__file__).parent
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not {"pickle", "joblib", "dill", "cloudpickle", "shelve"} & set(imported_by(tree)), (
            file
        )
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"torch.save", "pd.read_pickle", "np.load"}, file
                # Checkpoints of a running training are torch's own files; nothing but tensors may
                # come out of them.
                if called == "torch.load":
                    assert file.parent.name == "training"
                    assert "weights_only=True" in ast.unparse(node)


def imported_by(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
