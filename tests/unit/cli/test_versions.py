"""`graphrouter versions` and `graphrouter migrate`."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.artifact import FORMAT_VERSION
from graphrouter.cli.app import run
from graphrouter.locks import lock_folder

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def live(tmp_path: Path) -> Path:
    place = tmp_path / "live"
    shutil.copytree(DATA / "format4" / "graphrouter", place)
    return place


def test_what_a_command_replaced_is_said_and_comes_back(
    live: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pool", "remove", str(live), "newcomer"]) == 0
    said = capsys.readouterr().out
    assert "Kept        what was there before, as version " in said
    name = said.split("as version ")[1].partition(";")[0]
    assert run(["versions", str(live)]) == 0
    assert "as trained" not in capsys.readouterr().out, "it was added to after training"
    assert run(["versions", str(live), "--restore", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["what"].partition(",")[0] for each in found] == [
        "5 models",
        "4 models",
        "5 models",
    ]
    assert "newcomer" in gr.load_router(live).models
    assert run(["versions", str(live), "--restore", "nothing"]) == 2
    assert "has no older version 'nothing'; expected one of: " in capsys.readouterr().err


def test_out_onto_another_router_keeps_that_one(
    live: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(DATA / "format4" / "graphrouter_without_parts", other)
    assert run(["pool", "remove", str(live), "newcomer", "--out", str(other)]) == 0
    assert "Kept " in capsys.readouterr().out
    assert run(["versions", str(other), "--json"]) == 0
    present, before = json.loads(capsys.readouterr().out)
    assert "after remove_model newcomer" in present["what"]
    assert before["what"].endswith("as trained")
    assert "newcomer" in gr.load_router(live).models, "where it was read from it stays"


def test_a_command_that_waits_in_vain_ends_with_status_2(
    live: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask: Callable[..., object] = lock_folder
    monkeypatch.setattr(
        "graphrouter.artifact.lock_folder", lambda folder, **_: ask(folder, wait_s=0)
    )
    has, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock_folder(live):
            has.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    has.wait()
    try:
        assert run(["pool", "remove", str(live), "newcomer"]) == 2
    finally:
        done.set()
        thread.join()
    message = capsys.readouterr().err
    assert "is being changed by process" in message
    assert len(message.strip().splitlines()) == 1
    assert "newcomer" in gr.load_router(live).models


def test_an_artifact_of_format_1_is_migrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = DATA / "format1" / "graphrouter", tmp_path / "new"
    assert run(["route", str(old), "Add 3 and 4."]) == 2
    assert f"graphrouter migrate {old} --out NEW" in capsys.readouterr().err
    quick = ["--set", "training.max_epochs=1", "--set", "training.steps_per_epoch=2"]
    assert run(["migrate", str(old), "--out", str(new), *quick]) == 0
    assert (
        "Trained again on 25 of the queries that it holds, checked on 3" in capsys.readouterr().out
    )
    assert len(gr.load_router(new).models) == 5


def test_an_artifact_of_format_3_is_written_anew(tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert run(["migrate", str(DATA / "format3" / "knn"), "--out", str(new)]) == 0
    assert json.loads((new / "manifest.json").read_bytes())["format_version"] == FORMAT_VERSION
