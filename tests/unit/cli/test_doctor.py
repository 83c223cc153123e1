"""`graphrouter doctor` finds what is broken, and says what an extra would bring."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from graphrouter.cli import doctor
from graphrouter.cli.doctor import examine, read_requirements
from graphrouter.extras import EXTRAS, PURPOSES
from tests.unit.cli.conftest import Invoke


def status_of(name: str, folder: Path) -> tuple[str, str, str]:
    [found] = [each for each in examine(folder) if each.name == name]
    return found.status, found.found, found.mend


def test_this_installation_is_sound(tmp_path: Path, invoke: Invoke) -> None:
    status, shown, errors = invoke("doctor", "--folder", tmp_path / "artifacts", "--json")
    assert (status, errors) == (0, "")
    report = json.loads(shown)
    assert report["is_sound"] is True
    names = [each["name"] for each in report["findings"]]
    extras = [f"extra {extra}" for extra in EXTRAS]
    looked_at = ["text encoder", "writing", "locks", "threads", "torch", "one route"]
    assert names == ["Python", "packages", *extras, *looked_at]
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_people_read_what_each_extra_brings(tmp_path: Path, invoke: Invoke) -> None:
    status, shown, _ = invoke("doctor", "--folder", tmp_path)
    assert status == 0
    words = " ".join(shown.split())
    assert "Sound: everything that the core needs is there." in words
    for purpose in PURPOSES.values():
        assert purpose in words


def test_an_extra_that_is_not_there_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    state, found, mend = status_of("extra bench", tmp_path)
    assert state == "absent"
    assert found == f"{PURPOSES['bench']}; not there: plotly"
    assert mend == "pip install 'graphrouter[bench]'"
    assert invoke("doctor", "--folder", tmp_path)[0] == 0


def test_a_version_below_what_is_allowed_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    def old(name: str) -> str:
        return "1.0" if name == "scipy" else "999"

    monkeypatch.setattr(doctor, "version", old)
    wanted = read_requirements()[""]["scipy"]
    assert status_of("scipy", tmp_path) == (
        "broken",
        f"1.0, and {wanted} is needed",
        f"pip install 'scipy{wanted}'",
    )
    status, shown, _ = invoke("doctor", "--folder", tmp_path)
    assert status == 1
    assert "1 thing is broken." in shown


def test_a_package_of_the_core_that_is_not_there_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        if name == "scipy":
            raise PackageNotFoundError(name)
        return "999"

    monkeypatch.setattr(doctor, "version", absent)
    assert status_of("scipy", tmp_path)[:2] == ("broken", "not there")
    monkeypatch.setattr(doctor, "is_installed", lambda module: module != "torch")
    assert status_of("scipy", tmp_path)[0] == "odd", "an installation for servers"


def test_whatever_a_look_raises_is_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: object) -> None:
        raise OSError("no such weights\n here")

    monkeypatch.setattr("graphrouter.encoders.create_encoder", fail)
    assert status_of("text encoder", tmp_path)[:2] == ("broken", "OSError: no such weights here")


def test_a_lock_that_two_are_given_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_is_refused_elsewhere", lambda folder: False)
    state, found, _ = status_of("locks", tmp_path)
    assert (state, found) == ("broken", "a lock was given to two at once")


def test_a_folder_that_cannot_be_written_to_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(doctor.tempfile, "TemporaryDirectory", refuse)
    assert status_of("writing", tmp_path)[0] == "broken"


def test_requirements_are_those_of_the_project() -> None:
    found = read_requirements()
    assert {"numpy", "torch", "typer"} <= set(found[""])
    assert found[""]["numpy"].startswith(">=")
    assert set(EXTRAS) <= set(found)


def test_every_extra_has_a_purpose() -> None:
    assert set(PURPOSES) == set(EXTRAS)
    page = Path(__file__).parents[3] / "docs" / "quickstart.md"
    text = page.read_text(encoding="utf-8")
    for extra, purpose in PURPOSES.items():
        assert f"| `{extra}` | {purpose} |" in text
