"""Addresses of studies: what opens, what is refused in one line, and no password in any of it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from graphrouter.bench.tuning.study_storage import build_sqlite_address, hide_password, open_storage
from graphrouter.exceptions import ConfigError


@pytest.mark.parametrize("name", ["study.sqlite3", "with space.db", "100%25?x=1#{y}.db"])
def test_a_database_file_keeps_a_study(tmp_path: Path, name: str) -> None:
    address = build_sqlite_address(tmp_path / name)
    optuna.create_study(storage=open_storage(address), study_name="mine")
    assert optuna.get_all_study_names(open_storage(address)) == ["mine"]
    assert (tmp_path / name).is_file()


def test_a_journal_keeps_a_study(tmp_path: Path) -> None:
    address = f"journal:{tmp_path / 'study.log'}"
    optuna.create_study(storage=open_storage(address), study_name="mine")
    assert optuna.get_all_study_names(open_storage(address)) == ["mine"]
    assert hide_password(address) == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "study.sqlite3",
            "The storage 'study.sqlite3' is no address. Expected the URL of a database",
        ),
        ("", "is no address"),
        ("nosuch://host/x", "The storage nosuch://host/x needs a driver that is not there"),
        ("sqlite:////nowhere/at/all.db", "cannot be opened: unable to open database file"),
        ("journal:", "it is no file in a folder that exists"),
        ("journal:/nowhere/at/all.log", "it is no file in a folder that exists"),
    ],
)
def test_what_is_refused(address: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(address)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["sqlite:///{}", "journal:{}"])
def test_a_file_of_something_else_is_refused_and_stays(tmp_path: Path, address: str) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Bread, milk, and a long list of other things.\n" * 40)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="notes.txt"):
        open_storage(address.format(file))
    assert file.read_bytes() == before


def test_passwords_are_never_shown() -> None:
    for address in ("postgresql://me:s3cret@host/x", "nosuch://me:s3cret@host/x"):
        with pytest.raises(ConfigError) as caught:
            open_storage(address)
        assert "s3cret" not in str(caught.value)
        assert "me:***@host" in str(caught.value)
