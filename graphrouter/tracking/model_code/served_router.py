"""The router behind MLflow's `predict`.

No module of the package: MLflow copies this file into the model and runs it where the model is
loaded.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from graphrouter import load_router
from graphrouter.exceptions import GraphRouterError
from graphrouter.tracking.answers import answer


class ServedRouter(PythonModel):
    """Routes each row of a frame."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the router that the model carries: the one artifact of it."""
        [place] = context.artifacts.values()
        self._router = load_router(place)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """The columns of `graphrouter.tracking.answers.answer`.

        Raises:
            MlflowException: The parameters are not accepted, or no model satisfies them; the server
                answers with status 400.
        """
        try:
            return answer(self._router, model_input, params or {})
        except GraphRouterError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


set_model(ServedRouter())
