"""`graphrouter migrate`: an artifact of an older release, as this release writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.progress import guard_output, show_working
from graphrouter.cli.render import say, say_line
from graphrouter.cli.routers import load_any_router, save_router
from graphrouter.cli.settings import Overrides
from graphrouter.wording import count_of


def migrate(
    artifact: options.Artifact,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="ARTIFACT", help="Folder for the new artifact.", show_default=False
        ),
    ],
    overrides: Overrides = None,
) -> None:
    """Bring an artifact that an older release wrote to the present format; it stays as it is.

    Formats 3 and 4 are read by every command as they are; here they are written anew. Formats 1 and
    2 hold another network, so the router is trained again on the queries and outcomes that the
    artifact holds: its training queries, and what was added since. Some of them become validation
    queries. Its test queries, text encoder and seed are kept; --set changes settings of the
    training.

    Example: graphrouter migrate artifacts/old --out artifacts/new
    """
    with show_working("Loading libraries"):
        from graphrouter.artifact import check_writable
        from graphrouter.artifact_files import parse_manifest
        from graphrouter.router.refitting import REFITTED_VERSIONS, refit_router

    check_writable(out)
    manifest, _ = parse_manifest(artifact)
    if manifest.get("format_version") not in REFITTED_VERSIONS:
        load_any_router(artifact).save(out)
        say_line(f"{artifact} is written anew.")
        say_line(f"Artifact    {out}")
        return
    with guard_output() as progress:
        router = refit_router(artifact, overrides=overrides or [], progress=progress)
    split = router.provenance.split
    say(
        f"Trained again on {len(split.train):,} of the queries that it holds, checked on "
        f"{count_of(len(split.validation), 'other')}. Predictions differ from before."
    )
    save_router(router, out, f"{count_of(len(router.pool), 'model', 'is', 'are')} in the pool")
