"""`graphrouter route`: where to send one prompt, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.policy_options import MomentWords, add_policy_options
from graphrouter.cli.render import show_decision
from graphrouter.cli.routers import (
    load_any_router,
    load_routes,
    resolve_policy,
    warn_of_idle_options,
)
from graphrouter.exceptions import DataError
from graphrouter.policy import Policy
from graphrouter.query_views import Embedding
from graphrouter.text_files import parse_json, read_text_file


@add_policy_options
def route(
    artifact: options.Artifact,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help="The query; - reads it from standard input.", show_default=False
        ),
    ],
    task: Annotated[
        str | None, typer.Option("--task", help="Task of the query, where you know it.")
    ] = None,
    user: options.User = None,
    team: options.Team = None,
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context",
            help="A document that goes with the query, or @FILE to read one; may be repeated.",
            show_default=False,
        ),
    ] = None,
    embedding: Annotated[
        str | None,
        typer.Option(
            "--embedding",
            help="A vector that goes with the query: numbers in a JSON list, or @FILE of one.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder", help="What made the embedding, such as clip.", show_default=False
        ),
    ] = None,
    *,
    routes_file: options.RoutesFile = None,
    policy: Policy,
    moment: MomentWords,
    top: Annotated[int, typer.Option("--top", min=1, help="Most candidates to show.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Choose a model for one prompt, and show the candidates and the evidence behind the choice.

    The evidence is the similar queries that were solved, and by whom.

    Example: graphrouter route artifacts/demo/router "Prove that 17 is prime." --max-cost-usd 0.001
    --exclude tarn-grand
    """
    text = sys.stdin.read() if prompt == "-" else prompt

    if encoder is not None and embedding is None:
        raise DataError(
            f"--encoder is {encoder!r}, and there is no --embedding that it made. Give both, or "
            "neither."
        )
    vector = None if embedding is None else _read_vector(_read_text(embedding), encoder)
    routes = load_routes(routes_file)  # before the router: loading takes seconds
    router = load_any_router(artifact)
    chosen = resolve_policy(policy, router)
    decision = router.route(
        text,
        task=task,
        user=user,
        team=team,
        context=_read_documents(context or []),
        embedding=vector,
        policy=chosen,
        routes=routes,
        **moment,
    )
    warn_of_idle_options(routes, [decision.route], policy)
    if routes is not None and decision.route is not None:
        chosen = routes[decision.route].apply(chosen)
    if as_json:
        print_json(decision.to_dict())
    else:
        show_decision(decision, chosen.describe(), top=top)


def _read_documents(given: list[str]) -> str | list[str] | None:
    """The documents; one that is blank is none, as in a table."""
    texts = [_read_text(each) for each in given]
    return texts[0] if len(texts) == 1 else texts or None


def _read_text(given: str) -> str:
    """A text as it was given, or that of the file that @ names."""
    if not given.startswith("@"):
        return given
    file = Path(given[1:])
    if not file.is_file():
        raise DataError(f"There is no file {file}; expected the text that {given!r} stands for.")
    return read_text_file(file)


def _read_vector(text: str, encoder: str | None) -> Embedding:
    try:
        numbers = parse_json(text)
    except ValueError:
        numbers = text
    return Embedding.of(numbers, encoder, "--embedding")
