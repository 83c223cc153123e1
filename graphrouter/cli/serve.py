"""`graphrouter serve`: a gateway that any client of OpenAI's API can talk to."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console
from graphrouter.cli.policy_options import add_policy_options
from graphrouter.cli.routers import load_any_router, resolve_policy
from graphrouter.exceptions import ConfigError
from graphrouter.extras import require_extra
from graphrouter.policy import Policy
from graphrouter.wording import count_of


@add_policy_options
def serve(
    artifact: options.Artifact,
    upstreams: Annotated[
        Path,
        typer.Option(
            "--upstreams",
            metavar="FILE",
            help="Where candidates are served, as .yaml or .json: see docs/gateway.md.",
            show_default=False,
        ),
    ],
    routes_file: Annotated[
        Path | None,
        typer.Option(
            "--routes",
            metavar="FILE",
            help="Named routes as .yaml or .json.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8080,
    key_env: Annotated[
        str | None,
        typer.Option(
            "--key-env",
            metavar="NAME",
            help="Environment variable with the key that clients must send.",
            show_default=False,
        ),
    ] = None,
    *,
    policy: Policy,
) -> None:
    """Serve an API like OpenAI's that sends each chat to the model that is worth most.

    Clients change one base URL and ask for the model auto, auto:cost_first or another preset, or a
    model of the pool by its name. Headers of the response say who answered and why. The options of
    a policy hold where a request states none.

    Example: graphrouter serve artifacts/demo/router --upstreams upstreams.yaml --preset balanced
    """
    require_extra("serve", purpose="graphrouter serve")
    key = _read_key(key_env, host)

    import uvicorn

    from graphrouter.gateway import create_app, load_upstreams
    from graphrouter.routes import Routes

    router = load_any_router(artifact)
    deployments = load_upstreams(upstreams, router.pool, os.environ)
    routes = None if routes_file is None else Routes.load(routes_file)
    chosen = resolve_policy(policy, router)
    # What cannot work is told before the port opens.
    absent = [name for name in router.models if name not in deployments]
    router.route("Hello.", policy=chosen, routes=routes, unavailable=absent)
    with _listen(host, port) as listening:
        address, number = listening.getsockname()[:2]
        app = create_app(router, deployments, policy=chosen, routes=routes, key=key)
        console.print(
            f"Serving {count_of(len(deployments), 'model')} at "
            f"http://{f'[{address}]' if ':' in address else address}:{number}/v1",
            highlight=False,
            markup=False,
        )
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


def _read_key(name: str | None, host: str) -> str | None:
    """The key that clients must send; None where none is asked for.

    Raises:
        ConfigError: The variable is empty, or others than this machine could call without a key.
    """
    if name is None:
        if not _is_loopback(host):
            raise ConfigError(
                f"--host {host} can be reached from other machines; expected --key-env NAME beside "
                "it, or --host 127.0.0.1."
            )
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(f"--key-env {name}: the environment variable holds no key. Set it.")
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: The address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"Cannot listen on {host} port {port} ({reason}). Name another with --host and --port."
        ) from None
