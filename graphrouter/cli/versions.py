"""`graphrouter versions`: what an artifact was before, and how it becomes that again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.render import make_table, say_line, show_table
from graphrouter.exceptions import ArtifactError
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.artifact import Version


def versions(
    artifact: options.Artifact,
    restore: Annotated[
        str | None,
        typer.Option(
            "--restore",
            metavar="VERSION",
            help="Make this older version the present one; the present one stays as an older one.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show the versions that an artifact keeps, the present one first, or bring one back.

    Whatever writes to an artifact keeps what was there: the last 3 versions before the present one.
    Their prompts and outcomes lie in the folder as long as they do. A copy by save, or by pool with
    --out, holds the present version alone.

    Example: graphrouter versions artifacts/mine
    """
    from graphrouter.artifact import is_registry_uri, list_versions, restore_version

    if is_registry_uri(artifact):
        raise ArtifactError(
            f"{artifact} lies in MLflow, which keeps versions of its own. Name a folder."
        )
    if restore is not None:
        restore_version(artifact, restore)
    found = list_versions(artifact)
    if as_json:
        print_json([_to_plain(version) for version in found])
        return
    table = make_table(
        f"Versions of {artifact}", "version", "written (UTC)", "what", text_columns=3
    )
    for version in found:
        plain = _to_plain(version)
        table.add_row(version.name, f"{version.written_at:%Y-%m-%d %H:%M:%S}", plain["what"])
    show_table(table)
    if len(found) > 1 and restore is None:
        say_line(
            f"To bring one back: graphrouter versions {shlex.quote(str(artifact))} --restore "
            f"{found[1].name}"
        )


def _to_plain(version: Version) -> dict[str, Any]:
    return {
        "version": version.name,
        "written_at": version.written_at.isoformat(),
        "what": _describe(version.manifest),
    }


def _describe(manifest: Mapping[str, Any]) -> str:
    """What a version is, in words: its size, and what was changed of it last."""
    if "baseline" in manifest:
        return str(manifest["baseline"])
    changes = manifest.get("changes") or []
    last = changes[-1] if changes else {}
    about = f" {last.get('model') or last.get('task') or ''}".rstrip()
    what = f"after {last['what']}{about}" if last else "as trained"
    return (
        f"{count_of(manifest.get('num_models', 0), 'model')}, "
        f"{count_of(manifest.get('num_outcomes', 0), 'outcome')}, "
        f"{what}"
    )
