"""Routing within a model group of LiteLLM: a plugin for its router and its proxy."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from graphrouter.chats.chat_completions import read_chat
from graphrouter.decision import Decision
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.pool_chooser import PoolChooser
from graphrouter.gateway.wanted_models import AUTO, OWN_KEY, read_wanted
from graphrouter.policy import Policy, PresetName
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes
from graphrouter.wording import name_some, show_value, suggest

__all__ = ["LiteLLMPlugin", "RoutingContext"]

logger = logging.getLogger(__name__)


class RoutingContext(Protocol):
    """What LiteLLM hands from plugin to plugin before it chooses a deployment."""

    structured_messages: list[dict[str, Any]]
    """The chat, in the form of OpenAI's API whatever the client spoke."""
    candidate_models: list[str]
    """`litellm_params.model` of the deployments that are left."""
    metadata: dict[str, Any]
    """Of the request; its member `graphrouter` may hold a policy and the task."""
    signals: dict[str, Any]
    """What plugins say of their decision."""


class LiteLLMPlugin:
    """Narrows the deployments of a model group to the candidate that the router chooses.

    LiteLLM calls a deployment `provider/model`; it is the model of the pool that has that name,
    or the longest part of it behind a slash. Several deployments of one model stay together, and
    LiteLLM shares the requests out. A group of which the pool knows nobody is left as it is, so
    that embeddings and fixed models pass; where it knows some, the others are never chosen.
    The decision stands in `signals["graphrouter"]`.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=60, num_models=3, seed=0).data
        >>> hashing = gr.load_config(overrides=["encoder.name=hashing"])
        >>> router = gr.GraphRouter.fit(data, hashing, instant=True)
        >>> plugin = LiteLLMPlugin(router, policy="balanced")
        >>> plugin.find_model(f"openai/{router.models[0]}") == router.models[0]
        True
    """

    def __init__(
        self,
        router: Router | str | Path,
        *,
        policy: Policy | PresetName | None = None,
        names: Mapping[str, str] | None = None,
        routes: Routes | str | Path | None = None,
    ) -> None:
        """A plugin.

        Args:
            router: A router, or the folder of an artifact.
            policy: For requests that state none; the router's default without it.
            names: Model of the pool by LiteLLM's name, where the names differ.
            routes: Named routes, or their file.

        Raises:
            ConfigError: `names` names a model that is not in the pool.
            ArtifactError: There is no artifact, or it cannot be read.
        """
        self._chooser = PoolChooser(router, policy, routes)
        self._pool = self._chooser.router.pool
        self._names, self._told = dict(names or {}), set[str]()
        for model in self._names.values():
            if model not in self._pool.index:
                hint = suggest(model, self._pool.names, "The pool has: ")
                raise ConfigError(f"names: there is no model {show_value(model)}. {hint}")

    def find_model(self, candidate: str) -> str | None:
        """The model of the pool that a deployment serves; None where it is none of them."""
        if candidate in self._names:
            return self._names[candidate]
        name = candidate
        while name not in self._pool.index:
            _, slash, name = name.partition("/")
            if not slash:
                return None
        return name

    async def run(self, context: RoutingContext) -> RoutingContext:
        """Narrow `candidate_models` to the chosen model, as LiteLLM's interface has it.

        Raises:
            GraphRouterError: No candidate is left by the policy, or what the request says of it
                is not accepted; LiteLLM then answers with an error.
        """
        model_of = {each: self.find_model(each) for each in context.candidate_models}
        there = frozenset(model for model in model_of.values() if model is not None)
        if not there:
            return context
        self._tell_unknown([each for each, model in model_of.items() if model is None])
        said = {"model": AUTO, OWN_KEY: context.metadata.get(OWN_KEY) or {}}
        wanted = read_wanted(said, {}, self._chooser.state)
        conversation = read_chat({"messages": context.structured_messages})
        decision = await self._chooser.choose(conversation, wanted, there)
        context.candidate_models = [
            each for each, model in model_of.items() if model == decision.model
        ]
        context.signals[OWN_KEY] = _describe(decision)
        return context

    def _tell_unknown(self, candidates: Sequence[str]) -> None:
        new = [each for each in candidates if each not in self._told]
        if new:
            self._told.update(new)
            logger.warning(
                "The pool has no model for %s of LiteLLM, which are never chosen; name them in "
                "names={...} or add them to the pool.",
                name_some(new),
            )


def _describe(decision: Decision) -> dict[str, Any]:
    return {
        "model": decision.model,
        "effect": decision.effect,
        "expected_cost_usd": decision.cost_usd,
        "policy": decision.policy,
        "route": decision.route,
    }
