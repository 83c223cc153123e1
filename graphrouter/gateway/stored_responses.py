"""Responses that an upstream keeps: where each lies, and requests for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

import httpx2
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import RESPONSES
from graphrouter.gateway.sending import name_error
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.upstreams import Deployment

__all__ = ["StoredResponses"]

MOST_NOTED = 10_000
"""Ids that are remembered; the upstreams are asked in turn for others."""


class StoredResponses:
    """Knows which upstream made which response.

    It is remembered in this process alone: after a restart, and beside other workers, the upstreams
    are asked in turn, since each answers 404 for what it did not make.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[str, Deployment] = OrderedDict()

    def note(self, response_id: object, deployment: Deployment) -> None:
        """Remember who made a response."""
        if isinstance(response_id, str):
            self._made[response_id] = deployment
            if len(self._made) > MOST_NOTED:
                self._made.popitem(last=False)

    async def find(
        self, response_id: str, state: ServingState, client: httpx2.AsyncClient
    ) -> Deployment:
        """A deployment of the upstream that made a response.

        Raises:
            ApiError: None of them has it.
        """
        upstreams = self._list_upstreams(response_id, state)
        if len(upstreams) == 1:
            return upstreams[0]
        deployment, response = await self._ask(response_id, "", "GET", {}, upstreams, client)
        await response.aclose()
        return deployment

    async def pass_on(
        self, request: Request, rest: str, state: ServingState, client: httpx2.AsyncClient
    ) -> Response:
        """The answer to a request for a stored response, by the upstream that made it.

        Args:
            request: With the id in its path.
            rest: Behind the id, such as `/input_items`.
            state: Whose upstreams are asked.
            client: Who sends.

        Raises:
            ApiError: None of them has it, or it cannot be reached.
        """
        response_id, query = request.path_params["response_id"], dict(request.query_params)
        upstreams = self._list_upstreams(response_id, state)
        _, response = await self._ask(response_id, rest, request.method, query, upstreams, client)
        kind = response.headers.get("content-type", "application/json")
        streamed = _read(response)
        return StreamingResponse(streamed, response.status_code, media_type=kind)

    def _list_upstreams(self, response_id: str, state: ServingState) -> list[Deployment]:
        """One deployment of each upstream that may have made a response."""
        if response_id in self._made:
            return [self._made[response_id]]
        every = (each for several in state.deployments.values() for each in several)
        serving = [
            each
            for each in every
            if each.protocol == RESPONSES.protocol and RESPONSES.name in each.endpoints
        ]
        found: list[Deployment] = []
        for each in serving:
            if not any(each.is_beside(other) for other in found):
                found.append(each)
        return found

    async def _ask(
        self,
        response_id: str,
        rest: str,
        method: str,
        query: Mapping[str, str],
        upstreams: list[Deployment],
        client: httpx2.AsyncClient,
    ) -> tuple[Deployment, httpx2.Response]:
        unreached = []
        for deployment in upstreams:
            path = f"{deployment.address}{RESPONSES.path}/{quote(response_id, safe='')}{rest}"
            request = client.build_request(
                method,
                path,
                params=query or None,
                headers=dict(deployment.headers),
                timeout=deployment.timeout_s,
            )
            try:
                response = await client.send(request, stream=True)
            except httpx2.HTTPError as error:
                unreached.append(f"{deployment.address}: {name_error(error)}")
                continue
            if response.status_code != 404:
                self.note(response_id, deployment)
                return deployment, response
            await response.aclose()
        if unreached:
            raise ApiError(502, f"Upstreams cannot be reached ({'; '.join(unreached)}).")
        raise ApiError(
            404, f"No upstream has a response {response_id!r}.", code="response_not_found"
        )


async def _read(response: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in response.aiter_bytes():
            yield piece
    finally:
        await response.aclose()
