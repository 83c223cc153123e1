"""Artifacts to and from a hub of models, with a card that says what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.sharing.artifact_card import describe_artifact
    from graphrouter.sharing.model_hub import pull_artifact, push_artifact

__all__ = ["describe_artifact", "pull_artifact", "push_artifact"]

_MODULE_OF = {
    "describe_artifact": "graphrouter.sharing.artifact_card",
    "pull_artifact": "graphrouter.sharing.model_hub",
    "push_artifact": "graphrouter.sharing.model_hub",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
