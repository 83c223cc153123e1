"""`graphrouter serve`: a gateway that any client of OpenAI's or Anthropic's API can talk to."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from pathlib import Path
from typing import Annotated, Literal

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console
from graphrouter.cli.learning_options import Learning, add_learning_options
from graphrouter.cli.policy_options import add_policy_options
from graphrouter.cli.routers import load_any_router, resolve_policy
from graphrouter.exceptions import ConfigError
from graphrouter.extras import require_extra
from graphrouter.moment import check_in_pool
from graphrouter.policy import Policy
from graphrouter.wording import count_of

NO_STORE = "none"
KEPT_S = 75
"""Seconds that an idle connection of a client is kept: more than clients and load balancers keep
theirs, so that none of them sends a request on one that is just being closed."""
DRAINED_WITHIN_S = 30
"""Seconds that requests in flight have to end once the gateway is told to stop."""


@add_policy_options
@add_learning_options
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
    routes_file: options.RoutesFile = None,
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--pair",
            metavar="STRONG WEAK",
            help="The two models of router-graph-THRESHOLD; the best and the cheapest on each "
            "prompt without them.",
            show_default=False,
        ),
    ] = None,
    sessions: Annotated[
        bool,
        typer.Option(
            "--sessions/--no-sessions",
            help="Whether turns of one session stay on their model unless there is a reason to "
            "leave it.",
        ),
    ] = True,
    max_switches: Annotated[
        int | None,
        typer.Option(
            "--max-switches",
            min=0,
            help="Changes of the model in one session for its gain, at most; any number without.",
            show_default=False,
        ),
    ] = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 8080,
    key_env: Annotated[
        str | None,
        typer.Option(
            "--key-env",
            metavar="NAME",
            help="Environment variable with the key that clients must send.",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        str,
        typer.Option(
            "--store",
            envvar="GRAPHROUTER_STORE",
            metavar="PLACE",
            help="Where decisions, grades, keys and costs are kept: a file, which is made where "
            "there is none, postgresql://user@host/name, or none.",
        ),
    ] = "graphrouter.db",
    store_prompts: Annotated[
        Literal["off", "hashed", "full"],
        typer.Option(
            "--store-prompts",
            help="Keep what was routed by: not at all, as a hash, or as text. Grades by a decision "
            "alone teach the router only with full; see docs/gateway-store.md.",
        ),
    ] = "off",
    prompt_days: Annotated[
        float | None,
        typer.Option(
            "--prompt-days",
            min=0,
            metavar="DAYS",
            help="Delete stored texts, those of grades too, after so many days; kept without.",
            show_default=False,
        ),
    ] = None,
    redact: Annotated[
        str | None,
        typer.Option(
            "--redact",
            metavar="FUNCTION",
            help="Python function, such as my_company.privacy.redact, that texts go through before "
            "they are stored, logged or judged: it is given a text, and gives back another.",
            show_default=False,
        ),
    ] = None,
    observe: Annotated[
        bool,
        typer.Option(
            "--observe",
            help="Decide requests that name a model too, and write it down; the named one answers.",
        ),
    ] = False,
    mark_answers: Annotated[
        bool,
        typer.Option(
            "--mark-answers/--plain-answers",
            help="Name the decision in the body of answers too, or in headers alone.",
        ),
    ] = True,
    search_recall: options.SearchRecall = None,
    log_requests: Annotated[
        bool,
        typer.Option(
            "--log-requests", help="Write a line of JSON on standard error for each request."
        ),
    ] = False,
    *,
    learning: Learning,
    policy: Policy,
) -> None:
    """Serve APIs like OpenAI's and Anthropic's that send each request to the best model for it.

    Clients change one base URL and ask for the model auto, for auto:cost_first or another preset,
    for auto:NAME of a named route, for router-graph-0.6 with RouteLLM's threshold between a strong
    and a weak model, or for a model of the pool by its name. Headers of the response say who
    answered and why. The options of a policy hold where a request states none.

    Example: graphrouter serve artifacts/demo/router --upstreams upstreams.yaml --preset balanced
    """
    require_extra("serve", purpose="graphrouter serve")
    key = _read_key(key_env)

    import uvicorn

    from graphrouter.gateway import create_app, load_upstreams
    from graphrouter.gateway.judge_settings import load_judges
    from graphrouter.gateway.memory import Memory, name_artifact
    from graphrouter.gateway.redaction import Redaction, load_redaction
    from graphrouter.gateway.serving_state import ReadArtifact
    from graphrouter.gateway.store import Store
    from graphrouter.gateway.store.stored_calls import WhatIsKept
    from graphrouter.gateway.telemetry import read_environment
    from graphrouter.gateway.token_prices import TokenPrices
    from graphrouter.routes import Routes

    checksum = name_artifact(artifact)  # before it is read: others may change it meanwhile
    router = load_any_router(artifact, search_recall)
    deployments = load_upstreams(upstreams, router.pool, os.environ)
    judges = () if learning.judges is None else load_judges(learning.judges, deployments)
    if store == NO_STORE and learning.needs_store:
        raise ConfigError(
            f"{learning.needs_store} needs a store, since what comes of it is kept there; expected "
            "--store PLACE in the place of --store none."
        )
    routes = None if routes_file is None else Routes.load(routes_file)
    for name in pair or ():
        check_in_pool("--pair", name, router.models)
    chosen = resolve_policy(policy, router)
    # What cannot work is told before the port opens.
    absent = [name for name in router.models if name not in deployments]
    router.route("Hello.", policy=chosen, routes=routes, unavailable=absent)
    kept = WhatIsKept(
        {name: each[0].prices or TokenPrices() for name, each in deployments.items()},
        artifact=checksum,
        prompts=store_prompts,
        redact=Redaction() if redact is None else load_redaction(redact),
        prompt_days=prompt_days,
        exploration=learning.exploration,
        drift=learning.drift,
        observes=observe,
        marks=mark_answers,
    )
    with _listen(host, port) as listening:
        address, number = listening.getsockname()[:2]
        memory = None if store == NO_STORE else Memory(Store.open(store), kept)
        if key is None and (memory is None or not memory.keys):
            _check_host(host)

        def load() -> ReadArtifact:
            name, found = name_artifact(artifact), load_any_router(artifact, search_recall)
            taught = found if memory is None else memory.teach_all(found, name)
            return ReadArtifact(name, taught)

        app = create_app(
            router,
            deployments,
            policy=chosen,
            routes=routes,
            pair=pair,
            sessions=sessions,
            max_switches=max_switches,
            key=key,
            memory=memory,
            load=load,
            judges=judges,
            tracer=read_environment(os.environ),
            is_alone=True,
        )
        console.print(
            f"Serving {count_of(len(deployments), 'model')} at "
            f"http://{f'[{address}]' if ':' in address else address}:{number}/v1",
            highlight=False,
            markup=False,
        )
        if log_requests:
            _show_requests()
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEPT_S,
            timeout_graceful_shutdown=DRAINED_WITHIN_S,
        )
        uvicorn.Server(config).run(sockets=[listening])


def _show_requests() -> None:
    from graphrouter.gateway.metrics import REQUESTS

    REQUESTS.addHandler(logging.StreamHandler())
    REQUESTS.setLevel(logging.INFO)


def _read_key(name: str | None) -> str | None:
    """The key of the operator; None where none is named.

    Raises:
        ConfigError: The variable is empty.
    """
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(f"--key-env {name}: the environment variable holds no key. Set it.")
    return key


def _check_host(host: str) -> None:
    """Refuse to let others than this machine call without a key.

    Raises:
        ConfigError: They could.
    """
    if not _is_loopback(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines; expected --key-env NAME beside "
            "it, a store with keys (graphrouter keys add), or --host 127.0.0.1."
        )


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
