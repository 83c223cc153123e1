"""`graphrouter plot`: files of each kind, the figures as JSON, and what is refused before work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Invoke

KINDS = {
    "frontier": ["ARTIFACT", "DATA"],
    "calibration": ["ARTIFACT", "DATA", "--hide-tasks"],
    "heatmap": ["ARTIFACT", "--data", "DATA"],
    "familiarity": ["ARTIFACT", "DATA"],
    "graph": ["ARTIFACT", "DATA", "--queries", "5", "--preset", "cost_first"],
    "plan": ["ARTIFACT", "What is 3 + 4?", "--judge", "auc:0.8"],
    "newcomer": ["ARTIFACT", "DATA"],
}


def words(kind: str, artifact: Path, world: Path) -> list[str]:
    places = {"ARTIFACT": str(artifact), "DATA": str(world)}
    return ["plot", kind, *(places.get(word, word) for word in KINDS[kind])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_drawn_and_its_figures_are_told(
    kind: str, artifact: Path, world: Path, tmp_path: Path, invoke: Invoke
) -> None:
    out = tmp_path / f"{kind}.html"
    status, output, errors = invoke(*words(kind, artifact, world), "--out", str(out), "--json")
    assert status == 0, errors
    told = json.loads(output)
    assert told["file"] == str(out)
    assert told["rows"]
    page = out.read_text(encoding="utf-8")
    assert told["title"].replace("'", "&#39;") in page
    assert len(page) < 300_000


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_other_formats(
    suffix: str, artifact: Path, world: Path, tmp_path: Path, invoke: Invoke
) -> None:
    out = tmp_path / f"heatmap{suffix}"
    status, output, _ = invoke(*words("heatmap", artifact, world), "--out", str(out))
    assert status == 0
    assert f"Wrote {out}" in output
    assert out.read_bytes()[:8].lstrip(b"\x89<")[:3] in (b"PNG", b"svg")


@pytest.mark.parametrize("kind", KINDS)
def test_another_format_is_refused_before_the_work(
    kind: str, tmp_path: Path, invoke: Invoke
) -> None:
    missing = tmp_path / "no_artifact"
    status, _, errors = invoke(*words(kind, missing, missing), "--out", str(tmp_path / "a.gif"))
    assert status == 2
    assert "suffix '.gif' names no format" in errors


def test_a_model_that_is_not_there(
    artifact: Path, world: Path, tmp_path: Path, invoke: Invoke
) -> None:
    given = ["--model", "nobody", "--out", str(tmp_path / "a.svg")]
    status, _, errors = invoke(*words("newcomer", artifact, world), *given)
    assert status == 2
    assert "There is no model 'nobody'" in errors
