"""An external processor of Envoy's: reads a request, chooses, and writes the model into a header.

Envoy holds a request back (`ext_proc` with a buffered body), asks this server over gRPC, and then
finds the cluster by the header. The protocol is `envoy.service.ext_proc.v3.ExternalProcessor`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import grpc
from betterproto2 import which_one_of
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
)
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    BodyMutation,
    BodyResponse,
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    HttpBody,
    ImmediateResponse,
    ProcessingRequest,
    ProcessingResponse,
    TrailersResponse,
)
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode

from graphrouter.exceptions import ConfigError, GraphRouterError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    ApiForm,
)
from graphrouter.gateway.pool_chooser import PoolChooser
from graphrouter.gateway.request_bodies import parse_body
from graphrouter.gateway.wanted_models import OWN_KEY, PREFIX, read_wanted

__all__ = ["ExternalProcessor", "start_processor"]

logger = logging.getLogger(__name__)
SERVICE, METHOD = "envoy.service.ext_proc.v3.ExternalProcessor", "Process"
MODEL = f"{PREFIX}model"
"""The header that is written."""
_FORMS = (CHAT_COMPLETIONS, RESPONSES, MESSAGES, COMPLETIONS)
_REST: Mapping[str, ProcessingResponse] = {
    "response_headers": ProcessingResponse(response_headers=HeadersResponse()),
    "response_body": ProcessingResponse(response_body=BodyResponse()),
    "request_trailers": ProcessingResponse(request_trailers=TrailersResponse()),
    "response_trailers": ProcessingResponse(response_trailers=TrailersResponse()),
}


class ExternalProcessor:
    """Chooses for every request of Envoy's whose path is one of the gateway's.

    The body's `model` becomes what the provider calls the chosen model (the card's `base`, else its
    name), and its member `graphrouter` is taken out. Other paths pass as they are.
    """

    def __init__(self, chooser: PoolChooser, *, rewrites: bool = True) -> None:
        """A processor.

        Args:
            chooser: Who chooses.
            rewrites: Whether bodies are changed; else the header alone tells the model.
        """
        self._chooser, self._rewrites = chooser, rewrites

    async def process(
        self, requests: AsyncIterator[ProcessingRequest], context: object
    ) -> AsyncIterator[ProcessingResponse]:
        """One request of a client: what Envoy tells of it, and what it is to do."""
        headers: dict[str, str] = {}
        async for request in requests:
            if (told := request.request_headers) is not None:
                headers = _read_headers([] if told.headers is None else told.headers.headers)
                # A client cannot choose the cluster by the header itself.
                mutation = HeaderMutation(remove_headers=[MODEL])
                response = CommonResponse(header_mutation=mutation)
                yield ProcessingResponse(request_headers=HeadersResponse(response=response))
            elif request.request_body is not None:
                yield await self._answer(headers, request.request_body)
            else:
                yield _REST[which_one_of(request, "request")[0]]

    async def _answer(self, headers: Mapping[str, str], sent: HttpBody) -> ProcessingResponse:
        form = _find_form(headers.get(":path", ""))
        if form is None:
            return ProcessingResponse(request_body=BodyResponse())
        try:
            if not sent.end_of_stream:
                raise ApiError(
                    500,
                    "The body came in part. Set request_body_mode: BUFFERED of Envoy's ext_proc, "
                    "and per_connection_buffer_limit_bytes to the longest body.",
                )
            return await self._choose(form, headers, parse_body(sent.body))
        except ApiError as error:
            return _refuse(form, error)
        except GraphRouterError as error:
            return _refuse(form, ApiError(400, str(error), code="nobody_to_ask"))
        except Exception:
            logger.exception("A request could not be decided.")
            return _refuse(form, ApiError(500, "The request could not be decided."))

    async def _choose(
        self, form: ApiForm, headers: Mapping[str, str], body: dict[str, Any]
    ) -> ProcessingResponse:
        state = self._chooser.state
        wanted = read_wanted(body, headers, state)
        told: dict[str, str] = {}
        model = wanted.model
        if model is None:
            if wanted.threshold is not None or wanted.route is not None:
                raise ApiError(400, "Envoy's processor knows auto and auto:PRESET alone.", "model")
            conversation = form.read(body)
            decision = await self._chooser.choose(conversation, wanted, state.router.models)
            model = decision.model
            told["effect"] = f"{decision.effect:.4f}"
            if decision.cost_usd is not None:
                told["expected-cost-usd"] = f"{decision.cost_usd:.6g}"
            if decision.route is not None:
                told["route"] = decision.route
        written = {MODEL: model, **{f"{PREFIX}{name}": value for name, value in told.items()}}
        mutation = None
        if self._rewrites:
            card = state.router.pool[model]
            rest = {name: value for name, value in body.items() if name != OWN_KEY}
            content = json.dumps({**rest, "model": card.base or model}, ensure_ascii=False).encode()
            mutation = BodyMutation(body=content)
            written["content-length"] = str(len(content))  # Envoy refuses a length that is not so
        response = CommonResponse(
            header_mutation=HeaderMutation(set_headers=[_set(*each) for each in written.items()]),
            body_mutation=mutation,
            clear_route_cache=True,
        )
        return ProcessingResponse(request_body=BodyResponse(response=response))


async def start_processor(
    processor: ExternalProcessor, host: str, port: int
) -> tuple[grpc.aio.Server, int]:
    """A server that answers Envoy, started, and the port that it listens on.

    Args:
        processor: What it serves.
        host: Address to listen on.
        port: 0 takes a free one.

    Raises:
        ConfigError: Somebody else listens there.
    """
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    answer = grpc.stream_stream_rpc_method_handler(
        processor.process, request_deserializer=ProcessingRequest.parse, response_serializer=bytes
    )
    methods = grpc.method_handlers_generic_handler(SERVICE, {METHOD: answer})
    server.add_generic_rpc_handlers((methods,))
    try:
        taken = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError:
        raise ConfigError(
            f"Nothing can listen on {host}:{port}. Is another server there? Name another --port."
        ) from None
    await server.start()
    return server, taken


def _find_form(path: str) -> ApiForm | None:
    bare = path.partition("?")[0].rstrip("/")
    return next((form for form in _FORMS if bare.endswith(f"/v1{form.path}")), None)


def _read_headers(headers: Iterable[HeaderValue]) -> dict[str, str]:
    return {
        each.key.lower(): each.value or each.raw_value.decode("utf-8", "replace")
        for each in headers
    }


def _set(name: str, value: str) -> HeaderValueOption:
    return HeaderValueOption(
        header=HeaderValue(key=name, raw_value=value.encode()),
        append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _refuse(form: ApiForm, error: ApiError) -> ProcessingResponse:
    kind = HeaderMutation(set_headers=[_set("content-type", "application/json")])
    return ProcessingResponse(
        immediate_response=ImmediateResponse(
            status=HttpStatus(code=StatusCode(error.status)),
            headers=kind,
            body=json.dumps(form.tell(error)).encode(),
            details="graphrouter",
        )
    )
