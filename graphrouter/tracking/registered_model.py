"""The router as an MLflow model: from code, without pickle, with signature and input example."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrouter import __version__
from graphrouter.tracking.answers import ALWAYS_KNOWN, COLUMNS, LIST_PARAMS, PARAMS, ROUTES
from graphrouter.tracking.mlflow_store import ROUTER, use_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

    from graphrouter.tracking.tracked_run import TrackedRun

CODE = Path(__file__).parent / "model_code" / "served_router.py"
EXAMPLE_PROMPT = "Translate 'good morning' into French."
_SECONDS_TO_REGISTER = 30


def build_signature() -> ModelSignature:
    """What the model takes (`prompt`, perhaps `task`, `PARAMS`) and gives (`COLUMNS`).

    `ROUTES` is there to be refused.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    single = {**PARAMS, ROUTES: "string"}
    scalars = [ParamSpec(name, kind, None) for name, kind in single.items()]
    lists = [ParamSpec(name, kind, [], shape=(-1,)) for name, kind in LIST_PARAMS.items()]
    return ModelSignature(
        inputs=Schema([ColSpec("string", "prompt"), ColSpec("string", "task", required=False)]),
        outputs=Schema(
            [ColSpec(kind, name, required=name in ALWAYS_KNOWN) for name, kind in COLUMNS.items()]
        ),
        params=ParamSchema([*scalars, *lists]),
    )


def register_router(run: TrackedRun, artifact: Path, *, name: str) -> str | None:
    """The URI of the registered model that the saved router became.

    None when that failed, which is said.

    Args:
        run: The run that it came from.
        artifact: Folder of the router; the model carries a copy.
        name: Of the registered model; a name that is taken gets a new version.
    """

    def log(client: MlflowClient) -> str:
        logged = client.create_logged_model(
            run.experiment_id, name=ROUTER, source_run_id=run.run_id
        )
        return _log_model(run, artifact, logged.model_id, name)

    return run.attempt(log)


def _log_model(run: TrackedRun, artifact: Path, model_id: str, name: str) -> str:
    """The URI of the model that was logged.

    This is `mlflow.pyfunc.log_model`, told of the run: MLflow would take another, or start one.
    """
    import mlflow
    import pandas as pd

    # Of objects: MLflow compares names with numbers, which strings of pandas 3.0 do not allow.
    example = pd.DataFrame([[EXAMPLE_PROMPT]], columns=pd.Index(["prompt"], dtype=object))
    # Standard error is where MLflow prints that it has registered a model.
    with use_store(run.uri), redirect_stderr(io.StringIO()):
        info: Any = mlflow.models.Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            run_id=run.run_id,
            model_id=model_id,
            registered_model_name=name,
            await_registration_for=_SECONDS_TO_REGISTER,
            python_model=str(CODE),
            artifacts={ROUTER: str(artifact)},
            signature=build_signature(),
            input_example=(example, {"cost_weight": 0.3}),
            # Given, so that nothing is guessed by importing and freezing.
            pip_requirements=[f"graphrouter=={__version__}"],
        )
    return f"models:/{name}/{info.registered_model_version}"
