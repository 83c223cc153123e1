"""Routers as commands take them: loaded, and saved."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say, say_line
from graphrouter.exceptions import ArtifactError
from graphrouter.policy import Policy

if TYPE_CHECKING:
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.router.protocol import Router

_logger = logging.getLogger(__name__)


def load_any_router(artifact: Path) -> Router:
    """The router in a folder, or in MLflow, of whatever kind it is."""
    with show_working("Loading the router"):
        from graphrouter.router.loading import load_router

        return load_router(artifact)


def load_graph_router(artifact: Path) -> GraphRouter:
    """The graph router in a folder, or in MLflow."""
    with show_working("Loading the router"):
        from graphrouter.router.graph_router import GraphRouter

        return GraphRouter.load(artifact)


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


def resolve_policy(policy: Policy, router: Router) -> Policy:
    """The policy as the router applies it, with a warning where it knows no cost to weigh."""
    resolved = policy.resolve(router.cost_scale)
    if resolved != policy:
        _logger.warning("This router cannot predict any cost; routing by expected effect alone.")
    return resolved
