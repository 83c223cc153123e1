"""Which MLflow store is meant, and what is shown of it. What needs MLflow itself is tested with the
tracking."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrouter.artifact import is_registry_uri
from graphrouter.exceptions import ConfigError
from graphrouter.tracking.mlflow_store import (
    explain_error,
    find_sqlite_file,
    find_store,
    is_no_answer,
    mask_uri,
)


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("models:/mine/1", True),
        ("models:/mine@best", True),
        ("runs:/abc/router", True),
        (Path("models:/mine/1"), True),
        ("artifacts/models:/mine", False),
        ("models", False),
        ("", False),
    ],
)
def test_which_places_are_in_mlflow(place: str | Path, expected: bool) -> None:
    assert is_registry_uri(place) is expected


def test_the_store_is_the_one_named_then_the_variable_then_a_file_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert find_store() == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert find_store() == "http://host:5000"
    assert find_store("postgresql://host/db") == "postgresql://host/db"
    assert find_store("databricks") == "databricks"
    assert find_store("sqlite:///below/a.db") == f"sqlite:///{tmp_path}/below/a.db"
    assert find_store("sqlite:////srv/a.db") == "sqlite:////srv/a.db"


@pytest.mark.parametrize(
    "uri", ["mlruns", "./mlruns", "/srv/mlruns", "file:///srv/mlruns", "file:mlruns", ":x"]
)
def test_folders_are_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="a folder; expected a server such as"):
        find_store(uri)


def test_what_is_shown_has_no_password(tmp_path: Path) -> None:
    assert mask_uri("postgresql://ann:s3cret@host:5432/db") == "postgresql://ann:***@host:5432/db"
    assert mask_uri("http://host:5000") == "http://host:5000"
    assert mask_uri(f"sqlite:///{tmp_path}/a.db") == "sqlite:///a.db"
    assert mask_uri("sqlite:////elsewhere/a.db") == "sqlite:////elsewhere/a.db"


def test_reasons_are_one_line_without_password() -> None:
    uri = "postgresql://ann:s3cret@host/db"
    assert (
        explain_error(RuntimeError(f"cannot open\n {uri}"), uri)
        == "cannot open postgresql://ann:***@host/db"
    )
    assert explain_error(RuntimeError(), uri) == "RuntimeError"
    assert len(explain_error(RuntimeError("x" * 5000), uri)) == 303


def test_no_answer_is_seen_behind_what_wraps_it() -> None:
    wrapped = RuntimeError("a long story")
    wrapped.__cause__ = ConnectionRefusedError("refused")
    assert is_no_answer(wrapped)
    assert explain_error(wrapped, "http://host:1") == "no answer from http://host:1"
    assert is_no_answer(TimeoutError())
    assert not is_no_answer(FileNotFoundError())


def test_only_sqlite_stores_are_files(tmp_path: Path) -> None:
    assert find_sqlite_file("sqlite:///a.db") == tmp_path / "a.db"
    assert find_sqlite_file("http://host") is None
