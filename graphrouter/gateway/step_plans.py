"""Plans of several steps over HTTP: a model for each step, among those that can be called now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import anyio.to_thread

from graphrouter.exceptions import GraphRouterError
from graphrouter.files import to_plain
from graphrouter.gateway.api_errors import ApiError
from graphrouter.policy import Policy
from graphrouter.router.protocol import Router

_TERMS = ("budget_usd", "budget_s", "max_calls", "tolerance")
_BESIDE = ("model", "graphrouter")
"""What else a request may hold."""


async def route_plan(
    router: Router, body: Mapping[str, Any], policy: Policy | None, unavailable: Collection[str]
) -> dict[str, Any]:
    """A model for each step that a request names, as plain values.

    Nobody is called and nothing is kept.

    Args:
        router: What is served.
        body: `steps`, and perhaps `budget_usd`, `budget_s`, `max_calls` and `tolerance`, as
            `Router.route_steps` takes them.
        policy: What every step respects.
        unavailable: Models that cannot be called.

    Raises:
        ApiError: The steps are no plan, nobody satisfies the policy, or a budget is too small.
    """
    strange = sorted(set(body) - {"steps", *_TERMS, *_BESIDE})
    if strange:
        told = f"{strange[0]} does not go with steps; expected any of {', '.join(_TERMS)}."
        raise ApiError(400, told, strange[0])
    terms = {name: body[name] for name in _TERMS if body.get(name) is not None}

    def decide() -> dict[str, Any]:
        found = router.route_steps(body["steps"], policy=policy, unavailable=unavailable, **terms)
        return dict(to_plain(found.to_dict()))

    try:
        return await anyio.to_thread.run_sync(decide)
    except GraphRouterError as error:
        raise ApiError(400, str(error), "steps") from None
