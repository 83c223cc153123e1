"""Versions of an artifact: the last few are kept, and nobody's change is lost unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphrouter.artifact import (
    MANIFEST,
    ArtifactContents,
    Lineage,
    copy_artifact,
    list_versions,
    read_artifact,
    restore_version,
    write_artifact,
)
from graphrouter.artifact_manifest import checksum_manifest, encode_manifest
from graphrouter.exceptions import ArtifactError


def contents_of(seed: int, kind: str = "test") -> ArtifactContents:
    return ArtifactContents({"kind": kind, "seed": seed}, {}, {})


def seeds_in(folder: Path) -> list[int]:
    return [version.manifest["seed"] for version in list_versions(folder)]


def test_an_older_version_comes_back_and_the_present_one_stays(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        write_artifact(tmp_path, contents_of(seed))
    oldest = list_versions(tmp_path)[-1]
    restore_version(tmp_path, oldest.name[:6])
    assert seeds_in(tmp_path) == [0, 2, 1, 0]
    restore_version(tmp_path, list_versions(tmp_path)[1].name)  # what was undone is done again
    assert seeds_in(tmp_path) == [2, 0, 2, 1]
    assert read_artifact(tmp_path).manifest["seed"] == 2


@pytest.mark.parametrize("name", ["", "ffffffffffff", "../manifest", "manifest"])
def test_a_version_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    write_artifact(tmp_path, contents_of(0))
    write_artifact(tmp_path, contents_of(1))
    older = list_versions(tmp_path)[1].name
    with pytest.raises(ArtifactError, match=f"no older version .*expected one of: {older}"):
        restore_version(tmp_path, name)
    assert seeds_in(tmp_path) == [1, 0]


def test_the_second_of_two_who_read_the_same_is_refused(tmp_path: Path) -> None:
    write_artifact(tmp_path, contents_of(0))
    first, second = Lineage(), Lineage()
    for lineage in (first, second):
        lineage.note(tmp_path, list_versions(tmp_path)[0].manifest["checksum"])
    write_artifact(tmp_path, contents_of(1), lineage=first)
    with pytest.raises(
        ArtifactError, match="was changed after .*change_router, or .*overwrite=True"
    ):
        write_artifact(tmp_path, contents_of(2), lineage=second)
    assert seeds_in(tmp_path) == [1, 0]
    write_artifact(tmp_path, contents_of(3), lineage=first)  # it wrote what lies there
    write_artifact(tmp_path, contents_of(4), lineage=second, overwrite=True)
    assert seeds_in(tmp_path) == [4, 3, 1, 0]


def test_who_made_a_router_anew_replaces_what_was_there_and_it_stays(tmp_path: Path) -> None:
    write_artifact(tmp_path, contents_of(0))
    write_artifact(tmp_path, contents_of(1), lineage=Lineage())
    assert seeds_in(tmp_path) == [1, 0]


def test_an_undone_version_is_a_change_too(tmp_path: Path) -> None:
    lineage = Lineage()
    write_artifact(tmp_path, contents_of(0))
    write_artifact(tmp_path, contents_of(1), lineage=lineage)
    restore_version(tmp_path, list_versions(tmp_path)[1].name)
    with pytest.raises(ArtifactError, match="was changed after"):
        write_artifact(tmp_path, contents_of(2), lineage=lineage)


def test_an_artifact_of_a_format_of_others_is_not_replaced(tmp_path: Path) -> None:
    write_artifact(tmp_path, contents_of(0))
    manifest = {**read_artifact(tmp_path).manifest, "format_version": 99}
    manifest["checksum"] = checksum_manifest(manifest)
    (tmp_path / MANIFEST).write_bytes(encode_manifest(manifest))
    with pytest.raises(ArtifactError, match="format version 99"):
        write_artifact(tmp_path, contents_of(1))
    assert json.loads((tmp_path / MANIFEST).read_bytes())["seed"] == 0


def test_a_name_of_the_version_before_leads_nowhere_else(tmp_path: Path) -> None:
    """A manifest names the one before it; a stranger's may name anything."""
    write_artifact(tmp_path / "a", contents_of(0))
    for previous in ("../../../../../secret", "/etc/passwd", 5, ["x"], "f" * 64):
        manifest = {**read_artifact(tmp_path / "a").manifest, "previous": previous}
        manifest["checksum"] = checksum_manifest(manifest)
        (tmp_path / "a" / MANIFEST).write_bytes(encode_manifest(manifest))
        assert len(list_versions(tmp_path / "a")) == 1


def test_a_copy_holds_the_present_version_alone(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_artifact(tmp_path / "a", contents_of(seed))
    copy_artifact(tmp_path / "a", tmp_path / "b")
    assert [file.name for file in (tmp_path / "b").iterdir()] == [MANIFEST]
    assert read_artifact(tmp_path / "b").manifest == read_artifact(tmp_path / "a").manifest
    assert seeds_in(tmp_path / "b") == [1]
