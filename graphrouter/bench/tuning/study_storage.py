"""Where a study is kept: in memory, in a database by URL, or in a journal file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.storages import InMemoryStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
)

from graphrouter.exceptions import ConfigError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "journal:"
_EXPECTED = "Expected the URL of a database, such as sqlite:///study.sqlite3, or journal:FILE."
_WAIT_FOR_LOCK_S = 60.0
_NUM_TRIES = 10
_RETRY_S = 0.3


def open_storage(address: str | None) -> BaseStorage:
    """The storage at an address; a database or journal that does not exist yet is made.

    Args:
        address: The URL of a database, `journal:FILE`, or None for the memory of this process.

    Raises:
        ConfigError: It is no such address, or nothing can be kept there.
    """
    if address is None:
        return InMemoryStorage()
    if address.startswith(JOURNAL):
        return _open_journal(address.removeprefix(JOURNAL))
    try:
        url = make_url(address)
    except ArgumentError:
        raise ConfigError(f"The storage {address!r} is no address. {_EXPECTED}") from None
    try:
        return _open_database(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"The storage {hide_password(address)} needs a driver that is not there: "
            f"{_first_line(error)}. {_EXPECTED}"
        ) from None
    except (DBAPIError, RuntimeError) as error:
        reason = _first_line(
            error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        )
        raise ConfigError(
            f"The storage {hide_password(address)} cannot be opened: {reason}. {_EXPECTED}"
        ) from None


def build_sqlite_address(file: Path) -> str:
    """The address of a database in one file.

    Example:
        >>> build_sqlite_address(Path("tuning/study.sqlite3"))
        'sqlite:///tuning/study.sqlite3'
    """
    return URL.create(
        "sqlite", database=str(file)
    ).render_as_string()  # odd characters of the path are quoted


def hide_password(address: str | None) -> str:
    """The address as people may read it: without a password.

    Example:
        >>> hide_password("postgresql://me:secret@host/studies")
        'postgresql://me:***@host/studies'
    """
    if address is None:
        return ""
    if address.startswith(JOURNAL):
        return address
    return make_url(address).render_as_string(hide_password=True)


def _open_journal(path: str) -> BaseStorage:
    file = Path(path)
    if not path or file.is_dir() or not file.absolute().parent.is_dir():
        raise ConfigError(
            f"The storage {JOURNAL}{path} cannot be opened: it is no file in a folder that "
            f"exists. {_EXPECTED}"
        )
    try:
        return JournalStorage(JournalFileBackend(path))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"The storage {JOURNAL}{path} is no journal of studies: {_first_line(error)}. Name "
            "another file."
        ) from None


def _open_database(url: URL) -> BaseStorage:
    # Workers that start together wait for each other, also for the tables of a new file.
    options = (
        {"connect_args": {"timeout": _WAIT_FOR_LOCK_S}}
        if url.get_backend_name() == "sqlite"
        else {}
    )
    text = (
        url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    )  # Optuna fills in braces
    for _ in range(_NUM_TRIES - 1):
        try:
            return RDBStorage(text, engine_kwargs=options)
        except (OperationalError, IntegrityError) as error:
            if not any(
                word in str(error).lower()
                for word in ("already exists", "unique", "duplicate", "locked")
            ):
                raise
            time.sleep(_RETRY_S)  # another worker is making the same tables
    return RDBStorage(text, engine_kwargs=options)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
