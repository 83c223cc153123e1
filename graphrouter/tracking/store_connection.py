"""The way to an MLflow store, given up for good, with one line of warning, as soon as it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from graphrouter.exceptions import MissingExtraError
from graphrouter.extras import require_extra
from graphrouter.tracking.mlflow_store import (
    explain_error,
    find_sqlite_file,
    find_store,
    is_no_answer,
    mask_uri,
    quiet_mlflow,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
DEFAULT_EXPERIMENT = "graphrouter"

_ARTIFACTS = "mlartifacts"
_logger = logging.getLogger(__name__)


class Connection:
    """Calls to one experiment of one MLflow store; after the first that fails there are no more.

    Holds no client, so that it can be sent to the processes of a training on several devices.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self.experiment_id = ""
        self.is_on = False
        self._answers = False

    @classmethod
    def open(cls, *, uri: str | None = None, experiment: str = DEFAULT_EXPERIMENT) -> Connection:
        """A connection that is on where the store answers and has the experiment, or has made it.

        Args:
            uri: As in `find_store`.
            experiment: Its name.

        Raises:
            ConfigError: The URI is a folder.
        """
        connection = cls(find_store(uri), experiment)
        try:
            require_extra("mlflow", purpose="Tracking")
        except MissingExtraError as error:
            _logger.warning("The run is not tracked: %s", error)
            return connection
        connection.is_on = connection._answers = True
        connection.experiment_id = connection.attempt(connection._open) or ""
        return connection

    def attempt(self, call: Callable[[MlflowClient], T], *, is_last: bool = False) -> T | None:
        """What the call returns.

        None when it failed, or when an earlier one has. The first failure is said.

        Args:
            call: Asks something of the store.
            is_last: Try also after a failure, unless it was that nobody answered.
        """
        if not (self.is_on or (is_last and self._answers)):
            return None
        try:
            with quiet_mlflow():
                from mlflow import MlflowClient

                return call(MlflowClient(self.uri))
        # A border: stores bring clients of their own, and none of them may cost a training.
        except Exception as error:
            self._answers = not is_no_answer(error)
            if self.is_on:
                _logger.warning(
                    "MLflow failed, and the run is tracked no further: %s",
                    explain_error(error, self.uri),
                )
            self.is_on = False
        return None

    def location(self, run_id: str) -> str:
        """Where to look at a run, in words."""
        uri = mask_uri(self.uri)
        if self.uri.startswith("http"):
            return f"{uri.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{run_id}"
        return f"{run_id} in {uri} (to see it: mlflow ui --backend-store-uri {uri})"

    def _open(self, client: MlflowClient) -> str:
        """The id of the experiment."""
        _check_database(self.uri)
        known = client.get_experiment_by_name(self.experiment)
        if known is not None:
            return str(known.experiment_id)
        from mlflow.exceptions import MlflowException

        file = find_sqlite_file(self.uri)
        place = (
            None
            if file is None
            else (file.parent / _ARTIFACTS / _make_folder_name(self.experiment)).as_uri()
        )
        try:
            return client.create_experiment(self.experiment, artifact_location=place)
        except MlflowException:
            # Another process may have been quicker.
            known = client.get_experiment_by_name(self.experiment)
            if known is None:
                raise
            return str(known.experiment_id)


def _check_database(uri: str) -> None:
    """Open the database once, to fail at once: MLflow would try ten times, for almost two minutes.

    Raises:
        SQLAlchemyError: It does not open.
    """
    if uri.startswith(("http", "databricks", "uc")):
        return
    import sqlalchemy

    file = find_sqlite_file(uri)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(uri)
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _make_folder_name(experiment: str) -> str:
    """A name that is safe as that of one folder."""
    return (
        "".join(c if c.isalnum() or c in "-_." else "_" for c in experiment).strip(".")
        or DEFAULT_EXPERIMENT
    )
