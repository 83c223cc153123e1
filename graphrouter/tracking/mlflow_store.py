"""MLflow as a place where routers lie: which store, quiet access, and from a URI to a folder."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from graphrouter.exceptions import ArtifactError, ConfigError
from graphrouter.extras import require_extra
from graphrouter.files import parse_yaml

if TYPE_CHECKING:
    from mlflow.utils.logging_utils import MlflowLoggingStream

STORE_VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_STORE = "sqlite:///mlflow.db"
ARTIFACT, ROUTER = "artifact", "router"
"""Names in a run: of the folder with the artifact, and of the model that carries a copy, there
under the same name."""

_SQLITE = "sqlite:///"
_WITHOUT_PATH = ("databricks", "databricks-uc", "uc")
_MODEL_FILE = "MLmodel"
_MOST_CHARS = 300
_NOISY = ("mlflow", "alembic", "urllib3")
_NO_ANSWER = {"ConnectionError", "Timeout", "TimeoutError"}
_DEFAULTS = {
    # MLflow's own are 7 retries of 120 s: a quarter of an hour for a server that does not answer.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # who asks for a server of their own asks for no other
}
"""Settings of MLflow where the user has made none."""


def find_store(named: str | None = None) -> str:
    """The MLflow store to use: the one named, else that of MLFLOW_TRACKING_URI, else `mlflow.db`.

    The last lies in the working folder. A relative path of an SQLite file is made absolute, since
    MLflow keeps a store open under its URI.

    Example:
        >>> find_store("http://127.0.0.1:5000")
        'http://127.0.0.1:5000'

    Raises:
        ConfigError: It is a folder.
    """
    uri = named or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE
    scheme, separator, _ = uri.partition(":")
    if uri not in _WITHOUT_PATH and (not separator or scheme in ("", "file")):
        source = "The tracking URI" if named else STORE_VARIABLE
        raise ConfigError(
            f"{source} is {uri!r}, a folder; expected a server such as http://127.0.0.1:5000 or a "
            "database such as "
            f"{DEFAULT_STORE}. MLflow has given up its stores of plain files."
        )
    path = find_sqlite_file(uri)
    return uri if path is None else f"{_SQLITE}{path}"


def find_sqlite_file(uri: str) -> Path | None:
    """The absolute path of an SQLite store; None for another kind of store."""
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def mask_uri(uri: str) -> str:
    """The URI as it may be shown: without a password, relative in the working folder.

    Example:
        >>> mask_uri("https://ann:secret@host:5000/path")
        'https://ann:***@host:5000/path'
    """
    path = find_sqlite_file(uri)
    if path is not None:
        return (
            f"{_SQLITE}{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}"
        )
    password = urlsplit(uri).password
    return uri.replace(f":{password}@", ":***@", 1) if password else uri


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Keep MLflow from writing to the terminal and from waiting for minutes.

    Unless its variables say so. It is to be imported inside, too. Standard output and error are
    left alone: other threads may be writing there.
    """
    added = {name: value for name, value in _DEFAULTS.items() if name not in os.environ}
    os.environ.update(added)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Importing MLflow sets the levels of its loggers, so it comes first.
            from mlflow.utils.logging_utils import MLFLOW_LOGGING_STREAM

            with _silence(MLFLOW_LOGGING_STREAM):
                yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _silence(stream: MlflowLoggingStream) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels, was_enabled = [logger.level for logger in loggers], stream.enabled
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    stream.enabled = False
    try:
        yield
    finally:
        stream.enabled = was_enabled
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def use_store(uri: str) -> Iterator[None]:
    """Make `uri` the store of all of MLflow.

    Not all of its functions pass on the one that they are given.
    """
    import mlflow

    before = os.environ.get(STORE_VARIABLE)  # where MLflow keeps what it was told last
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None: as if it had never been set


def is_no_answer(error: BaseException) -> bool:
    """Whether a call failed since nobody answered it, or not in time.

    By names: the classes are those of whatever client the store has, and MLflow wraps them.

    Example:
        >>> is_no_answer(ConnectionRefusedError()), is_no_answer(KeyError())
        (True, False)
    """
    cause: BaseException | None = error
    while cause is not None:
        if _NO_ANSWER & {kind.__name__ for kind in type(cause).__mro__}:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def explain_error(error: BaseException, uri: str) -> str:
    """Why MLflow failed, on one line, without the password of the URI."""
    if is_no_answer(error):
        return f"no answer from {mask_uri(uri)}"
    text = " ".join(str(error).split()) or type(error).__name__
    password = None if find_sqlite_file(uri) else urlsplit(uri).password
    shown = text.replace(password, "***") if password else text
    return shown if len(shown) <= _MOST_CHARS else f"{shown[:_MOST_CHARS]}..."


@contextmanager
def fetch_router(uri: str) -> Iterator[Path]:
    """A folder with the artifact at `uri`, for as long as the context lasts.

    Args:
        uri: `models:/name/version`, `models:/name@alias` or `runs:/id/path`, of a registered router
            or of an artifact folder.

    Raises:
        ArtifactError: There is no router.
        MissingExtraError: MLflow is not installed.
    """
    require_extra("mlflow", purpose=f"Loading {uri}")
    store = find_store()
    file = find_sqlite_file(store)
    if file is not None and not file.is_file():  # MLflow would make an empty one
        raise ArtifactError(
            f"No router at {uri}: there is no MLflow store at {mask_uri(store)}. Name yours in "
            f"{STORE_VARIABLE}."
        )
    with TemporaryDirectory(prefix="graphrouter-") as folder:
        yield _find_router_folder(_download(uri, store, Path(folder)), uri)


def _download(uri: str, store: str, folder: Path) -> Path:
    with quiet_mlflow():
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            with use_store(store):
                return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder)))
        except (MlflowException, OSError) as error:
            reason = explain_error(error, store)
    raise ArtifactError(
        f"No router at {uri} in {mask_uri(store)}: {reason.rstrip('.')}. Name another, or set "
        f"{STORE_VARIABLE}."
    )


def _find_router_folder(fetched: Path, uri: str) -> Path:
    """The artifact in what was fetched: the folder itself, or what a registered model carries."""
    file = fetched / _MODEL_FILE
    if not file.is_file():
        return fetched
    import yaml

    try:
        found = parse_yaml(file.read_text(encoding="utf-8"))
        carried = found["flavors"]["python_function"]["artifacts"][ROUTER]
        place: Path = fetched / carried["path"]
        is_inside = place.resolve().is_relative_to(fetched.resolve())
    except (yaml.YAMLError, ValueError, KeyError, TypeError):
        is_inside = False
    if not is_inside:
        raise ArtifactError(
            f"The model at {uri} is no router. Register one with: graphrouter train DATA "
            "--register NAME ..."
        )
    return place
