"""`graphrouter push`, `pull` and `card`: artifacts to and from a hub of models."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console, error_console, print_json
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say_line
from graphrouter.extras import is_installed

Repository = Annotated[
    str, typer.Argument(metavar="OWNER/NAME", help="The repository on the hub.", show_default=False)
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="Address of the hub; HF_ENDPOINT or the public hub by default.",
        show_default=False,
    ),
]


def push(
    artifact: options.Artifact,
    repository: Repository,
    public: Annotated[
        bool,
        typer.Option("--public/--private", help="Who sees a repository that is made for it."),
    ] = False,
    with_prompts: Annotated[
        bool,
        typer.Option(
            "--with-prompts/--without-prompts",
            help="Give the training prompts away in clear text, or leave them at home.",
        ),
    ] = False,
    endpoint: Endpoint = None,
    as_json: options.Json = False,
) -> None:
    """Put an artifact on a hub of models, with a card that says what it is.

    The token is the one of the hub's own client: hf auth login, or HF_TOKEN. Training prompts stay
    at home unless asked for; what still tells of them is in docs/artifact.md.

    Example: graphrouter push artifacts/mine me/my-router
    """
    with show_working("Loading libraries"):
        from graphrouter.sharing import push_artifact

    _show_bars_to_people()
    address = push_artifact(
        artifact, repository, private=not public, with_prompts=with_prompts, endpoint=endpoint
    )
    if as_json:
        print_json({"commit": address, "with_prompts": with_prompts})
        return
    say_line(f"Pushed to {address}")
    say_line(f"To fetch it: graphrouter pull {shlex.quote(repository)} --out router")


def pull(
    repository: Repository,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="ARTIFACT", help="A new folder for it.", show_default=False),
    ],
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="NAME",
            help="A branch, tag or commit; the newest by default.",
            show_default=False,
        ),
    ] = None,
    endpoint: Endpoint = None,
    as_json: options.Json = False,
) -> None:
    """Fetch an artifact from a hub of models, every byte checked.

    It runs no code: JSON, safetensors and Parquet. Nothing is at ARTIFACT until all of it is.

    Example: graphrouter pull me/my-router --out artifacts/theirs
    """
    with show_working("Loading libraries"):
        from graphrouter.artifact import read_manifest
        from graphrouter.sharing import pull_artifact

    _show_bars_to_people()
    pull_artifact(repository, out, revision=revision, endpoint=endpoint)
    checksum = read_manifest(out)["checksum"]
    if as_json:
        print_json({"artifact": str(out), "checksum": checksum})
        return
    say_line(f"{repository} lies at {out} (version {checksum[:12]})")
    say_line(f"Next: graphrouter route {shlex.quote(str(out))} 'your prompt'")


def card(
    artifact: options.Artifact,
    place: Annotated[
        str,
        typer.Option("--place", metavar="OWNER/NAME", help="Where it will lie on a hub."),
    ] = "OWNER/NAME",
) -> None:
    """Print the model card of an artifact: its data, models, figures and limits, as Markdown.

    Push writes it as README.md of the repository.

    Example: graphrouter card artifacts/mine
    """
    from graphrouter.sharing import describe_artifact

    console.out(describe_artifact(artifact, place=place), highlight=False, end="")


def _show_bars_to_people() -> None:
    """The hub's client draws progress bars, in logs and pipes too."""
    if is_installed("huggingface_hub") and not error_console.is_terminal:
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
