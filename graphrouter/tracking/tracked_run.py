"""One run in MLflow: settings, figures and files, or nothing at all where there is no MLflow."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from graphrouter import __version__
from graphrouter.tracking.store_connection import DEFAULT_EXPERIMENT, Connection

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

_PARAMS_A_CALL, _METRICS_A_CALL = 100, 1000
_PARAM_CHARS, _TAG_CHARS, _KEY_CHARS = 6000, 5000, 250
_FORBIDDEN = re.compile(r"[^\w\-. :/]")
_PARENT, _USER, _SOURCE, _NOTE = (
    "mlflow.parentRunId",
    "mlflow.user",
    "mlflow.source.name",
    "mlflow.note.content",
)


class Tracking(NamedTuple):
    """Where to log runs."""

    uri: str | None = None
    """Server or database; without it that of MLFLOW_TRACKING_URI, or `mlflow.db` in the working
    folder."""
    experiment: str = DEFAULT_EXPERIMENT


class TrackedRun:
    """A run in MLflow, open until the `with` block ends.

    Its methods never raise, and do nothing where tracking is off.

    Example:
        >>> with TrackedRun.off() as run:
        ...     run.log_metrics({"val/log_loss": 0.5}, step=1)
        >>> run.is_on
        False
    """

    def __init__(self, connection: Connection, run_id: str, name: str) -> None:
        """A run that was started; users call `open_run`."""
        self._connection = connection
        self.run_id = run_id
        self.name = name

    @classmethod
    def off(cls) -> Self:
        """A run that logs nothing."""
        return cls(Connection("", ""), "", "")

    @property
    def is_on(self) -> bool:
        """Whether anything is logged: not without MLflow, nor after the first call that failed."""
        return self._connection.is_on

    @property
    def uri(self) -> str:
        """The store."""
        return self._connection.uri

    @property
    def experiment_id(self) -> str:
        """The id that the store gave to the experiment."""
        return self._connection.experiment_id

    @property
    def location(self) -> str:
        """Where to look at the run, in words."""
        return self._connection.location(self.run_id)

    def attempt(self, call: Callable[[MlflowClient], T]) -> T | None:
        """What the call to MLflow returns.

        None when it failed, which is said once, or when tracking is off.
        """
        return self._connection.attempt(call)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log settings; None is written as YAML does, `null`, and very long texts are cut."""
        from_text = {
            _clean_key(name): _to_text(value)[:_PARAM_CHARS] for name, value in params.items()
        }

        def log(client: MlflowClient) -> None:
            from mlflow.entities import Param

            entries = [Param(name, value) for name, value in from_text.items()]
            for first in range(0, len(entries), _PARAMS_A_CALL):
                client.log_batch(self.run_id, params=entries[first : first + _PARAMS_A_CALL])

        self.attempt(log)

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log figures; those that are NaN or infinite, being undefined, are left out.

        Args:
            metrics: By name; characters that MLflow does not take in names become underscores.
            step: Which epoch they are of.
        """
        known = {
            _clean_key(name): float(value)
            for name, value in metrics.items()
            if math.isfinite(value)
        }
        now = _read_clock_ms()

        def log(client: MlflowClient) -> None:
            from mlflow.entities import Metric

            entries = [Metric(name, value, now, step) for name, value in known.items()]
            for first in range(0, len(entries), _METRICS_A_CALL):
                client.log_batch(self.run_id, metrics=entries[first : first + _METRICS_A_CALL])

        self.attempt(log)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set what runs are searched by."""

        def log(client: MlflowClient) -> None:
            from mlflow.entities import RunTag

            client.log_batch(
                self.run_id,
                tags=[RunTag(_clean_key(name), value[:_TAG_CHARS]) for name, value in tags.items()],
            )

        self.attempt(log)

    def describe(self, text: str) -> None:
        """Set the description of the run, Markdown that stands above its figures."""
        self.set_tags({_NOTE: text})

    def log_files(self, place: Path, *, folder: str | None = None) -> None:
        """Copy a file, or all files of a folder, to the run's artifacts.

        Args:
            place: What to copy.
            folder: Where to put it among the artifacts; at the top without it.
        """
        if place.is_dir():
            self.attempt(lambda client: client.log_artifacts(self.run_id, str(place), folder))
        else:
            self.attempt(lambda client: client.log_artifact(self.run_id, str(place), folder))

    def open_child(self, name: str, *, tags: Mapping[str, str] | None = None) -> TrackedRun:
        """A run below this one."""
        return _start_run(self._connection, name, {**(tags or {}), _PARENT: self.run_id})

    def close(self, status: str = "FINISHED") -> None:
        """End the run.

        Args:
            status: FINISHED, FAILED or KILLED.
        """
        if self.run_id:
            self._connection.attempt(
                lambda client: client.set_terminated(self.run_id, status), is_last=True
            )

    def __enter__(self) -> Self:
        """The run itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the run as the block ended."""
        is_failure = kind is not None and issubclass(kind, Exception)
        self.close("FINISHED" if kind is None else "FAILED" if is_failure else "KILLED")


def open_run(tracking: Tracking | None, name: str, *, command: str = "") -> TrackedRun:
    """A new run, to be closed.

    One that logs nothing where that is not wanted or not possible, which is said.

    Args:
        tracking: Where; None for nowhere.
        name: What the run is called.
        command: The command that it tells of, such as train.

    Raises:
        ConfigError: The URI of the store is a folder.

    Example:
        >>> with open_run(None, "mine") as run:
        ...     run.log_params({"seed": 0})
    """
    if tracking is None:
        return TrackedRun.off()
    connection = Connection.open(uri=tracking.uri, experiment=tracking.experiment)
    return _start_run(
        connection,
        name,
        {_SOURCE: f"graphrouter {command}".strip(), "graphrouter.command": command},
    )


def _start_run(connection: Connection, name: str, tags: Mapping[str, str]) -> TrackedRun:
    everywhere = {_USER: _find_user(), "graphrouter.version": __version__}
    started = connection.attempt(
        lambda client: client.create_run(
            connection.experiment_id, tags={**everywhere, **tags}, run_name=name
        )
    )
    return TrackedRun(connection, "" if started is None else started.info.run_id, name)


def _clean_key(name: str) -> str:
    """The name as MLflow takes it: without odd characters, and with no way out of a folder."""
    parts = [part for part in _FORBIDDEN.sub("_", name).split("/") if part.strip(". ")]
    return "/".join(parts)[:_KEY_CHARS] or "_"


def _to_text(value: Any) -> str:
    return "null" if value is None else str(value)


def _read_clock_ms() -> int:
    return int(1000 * time.time())


def _find_user() -> str:
    return os.environ.get("USER") or os.environ.get("USERNAME") or "unknown"
