"""`graphrouter envoy`: choices for Envoy, which then finds the cluster by a header."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console
from graphrouter.cli.policy_options import add_policy_options
from graphrouter.cli.routers import load_any_router, resolve_policy
from graphrouter.extras import require_extra
from graphrouter.policy import Policy

GRACE_S = 10
"""Seconds that requests have to end once the server is told to stop."""


@add_policy_options
def envoy(
    artifact: options.Artifact,
    routes_file: options.RoutesFile = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 9002,
    rewrite: Annotated[
        bool,
        typer.Option(
            "--rewrite-body/--keep-body",
            help="Name the chosen model in the body too, or in the header alone.",
        ),
    ] = True,
    *,
    policy: Policy,
) -> None:
    """Answer Envoy's ext_proc filter: read a request, choose, write x-graphrouter-model.

    Envoy buffers a request, asks over gRPC, and finds the cluster by that header; keys, retries and
    load stay with Envoy. Requests ask for the model auto or auto:PRESET, as those of graphrouter
    serve do. See docs/integrations.md for Envoy's settings.

    Example: graphrouter envoy artifacts/demo/router --preset balanced
    """
    require_extra("envoy", purpose="graphrouter envoy")

    from graphrouter.gateway.external_processor import ExternalProcessor, start_processor
    from graphrouter.gateway.pool_chooser import PoolChooser
    from graphrouter.routes import Routes

    router = load_any_router(artifact)
    routes = None if routes_file is None else Routes.load(routes_file)
    chosen = resolve_policy(policy, router)
    router.route("Hello.", policy=chosen, routes=routes)  # what cannot work is told at once
    processor = ExternalProcessor(PoolChooser(router, chosen, routes), rewrites=rewrite)

    async def serve() -> None:
        server, taken = await start_processor(processor, host, port)
        console.print(f"Answering Envoy at {host}:{taken}", highlight=False, markup=False)
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, lambda: asyncio.ensure_future(server.stop(GRACE_S)))
        await server.wait_for_termination()

    asyncio.run(serve())
