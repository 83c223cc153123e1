"""The route call as a deployment of Ray Serve: replicas that keep a loaded router."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphrouter.exceptions import DataError, GraphRouterError
from graphrouter.extras import require_extra
from graphrouter.policy import Policy
from graphrouter.router.loading import load_router

if TYPE_CHECKING:
    from ray.serve import Application

_FIELDS = ("prompt", "task", "policy")


class RouteReplica:
    """A router that answers what Ray Serve sends to it, one prompt or many at a time."""

    def __init__(self, artifact: str, policy: Policy | None) -> None:
        """Loads the router.

        Args:
            artifact: Folder that every machine sees.
            policy: What to choose by where a request names none.
        """
        self.router, self.policy = load_router(artifact), policy

    def route(
        self, prompt: str, *, task: str | None = None, policy: Policy | None = None
    ) -> dict[str, Any]:
        """The decision as plain values, as `Decision.to_dict` gives them; through a handle.

        Args:
            prompt: To be routed.
            task: Of the prompt.
            policy: What to choose by; that of the deployment without it.
        """
        found = self.router.route(prompt, task=task, policy=policy or self.policy)
        return found.to_dict()

    async def __call__(self, request: Any) -> Any:
        """The same over HTTP: a JSON object with prompt, and perhaps task and policy.

        400 with the reason where the body is something else.
        """
        from starlette.responses import JSONResponse

        try:
            asked = _read(await request.body())
            return JSONResponse(self.route(**asked))
        except (GraphRouterError, ValueError, TypeError) as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=400)


def deploy_route(
    artifact: str,
    *,
    policy: Policy | None = None,
    num_replicas: int = 1,
    num_cpus: float = 1.0,
) -> Application:
    """An application for `ray.serve.run`, whose handle has `route` and which answers HTTP.

    Args:
        artifact: Folder of the router, which every machine of the cluster sees.
        policy: What to choose by where a request names none.
        num_replicas: Processes, each with a loaded router.
        num_cpus: Processors that Ray sets aside for each.

    Raises:
        MissingExtraError: Ray Serve is not installed.
    """
    require_extra("ray", purpose="serving on Ray")
    from ray import serve

    made = serve.deployment(
        name="graphrouter", num_replicas=num_replicas, ray_actor_options={"num_cpus": num_cpus}
    )(RouteReplica)
    application: Application = made.bind(artifact, policy)
    return application


def _read(body: bytes) -> Mapping[str, Any]:
    """What a request asks for.

    Raises:
        DataError: It is no JSON object of prompt, task and policy.
    """
    try:
        asked = json.loads(body)
    except ValueError:
        raise DataError("The body is no JSON; expected an object with prompt.") from None
    if not isinstance(asked, dict) or not {"prompt"} <= set(asked) <= set(_FIELDS):
        found = sorted(asked) if isinstance(asked, dict) else type(asked).__name__
        raise DataError(f"Received {found}; expected an object of {', '.join(_FIELDS)}.")
    if asked.get("policy") is not None:
        asked["policy"] = Policy.model_validate(asked["policy"])
    return asked
