"""Routers as commands take them: loaded, and saved."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say, say_line
from graphrouter.exceptions import ArtifactError
from graphrouter.policy import Policy
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.router.protocol import Router
    from graphrouter.routes import Routes

_logger = logging.getLogger(__name__)


def load_any_router(artifact: Path, search_recall: float | None = None) -> Router:
    """The router in a folder, or in MLflow, of whatever kind it is."""
    with show_working("Loading the router"):
        from graphrouter.router.loading import load_router

        return load_router(artifact, search_recall=search_recall)


def load_graph_router(artifact: Path) -> GraphRouter:
    """The graph router in a folder, or in MLflow."""
    with show_working("Loading the router"):
        from graphrouter.router.graph_router import GraphRouter

        return GraphRouter.load(artifact)


@contextmanager
def open_to_change(artifact: Path, out: Path | None) -> Iterator[GraphRouter]:
    """The graph router to change and to save in `out`, or where it lies.

    While it is changed where it lies, nobody else changes it.

    Raises:
        ArtifactError: There is none, or it lies in MLflow, where a version is never changed, and no
            folder is named.
        BusyError: Another process is changing it, and did not end in time.
    """
    with show_working("Loading libraries"):
        from graphrouter.artifact import is_registry_uri, lock_artifact
        from graphrouter.router.graph_router import GraphRouter  # noqa: F401 - before others wait

    if out is None and is_registry_uri(artifact):
        raise ArtifactError(
            f"{artifact} is a version in MLflow, which stays as it is. Name a folder with --out."
        )
    in_place = out is None or (
        not is_registry_uri(artifact) and out.resolve() == artifact.resolve()
    )
    with lock_artifact(artifact) if in_place else nullcontext():
        yield load_graph_router(artifact)


def save_router(router: GraphRouter, out: Path, what: str) -> None:
    """Write the router to `out`, and say what was done and where it lies.

    Raises:
        ArtifactError: It was read from MLflow, where a version is never changed, and no folder is
            named.
    """
    from graphrouter.artifact import is_registry_uri

    if is_registry_uri(out):
        raise ArtifactError(
            f"{out} is a version in MLflow, which stays as it is. Name a folder with --out."
        )
    router.save(out)
    say(f"{what}.")
    say_line(f"Artifact    {out}")
    say_kept(out)


def say_kept(out: Path) -> None:
    """Write which version the artifact at `out` had before, where it had one."""
    from graphrouter.artifact import list_versions

    _, *older = list_versions(out)
    if older:
        say_line(
            f"Kept        what was there before, as version {older[0].name}; see: "
            f"graphrouter versions {shlex.quote(str(out))}"
        )


def load_routes(file: Path | None) -> Routes | None:
    """The named routes of an option; None without it."""
    if file is None:
        return None
    from graphrouter.routes import Routes  # here: it encodes texts

    return Routes.load(file)


def warn_of_idle_options(
    routes: Routes | None, matched: Sequence[str | None], policy: Policy
) -> None:
    """Warn of options of a policy that do not count, since routes have policies of their own.

    Args:
        routes: Named routes; None where there are none.
        matched: Route of each prompt, None for none of them.
        policy: What the options say.
    """
    if routes is None or not policy.model_fields_set:
        return
    for name in dict.fromkeys(matched):
        if name is None or routes[name].policy is None:
            continue
        count = sum(other == name for other in matched)
        _logger.warning(
            "%s has a policy of its own, by which %s routed; that of the options does not count%s: "
            "%s.",
            routes.locate(name),
            "this prompt is" if len(matched) == 1 else count_of(count, "prompt", "is", "are"),
            "" if count == len(matched) else " for these",
            policy.describe(),
        )


def resolve_policy(policy: Policy, router: Router) -> Policy:
    """The policy as the router applies it, with a warning where it knows no cost to weigh."""
    resolved = policy.resolve(router.cost_scale)
    if resolved != policy:
        _logger.warning("This router cannot predict any cost; routing by expected effect alone.")
    return resolved
