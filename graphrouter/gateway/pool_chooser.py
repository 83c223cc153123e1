"""Choices among models of the pool that somebody else serves: LiteLLM, or a proxy's clusters."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from graphrouter.chats.conversation import Conversation
from graphrouter.chats.routed_text import read_prompt
from graphrouter.decision import Decision
from graphrouter.gateway.able_models import find_incapable
from graphrouter.gateway.deciding import Asked, Decider
from graphrouter.gateway.request_bodies import telling_client
from graphrouter.gateway.serving_state import ServingState
from graphrouter.gateway.wanted_models import Wanted
from graphrouter.policy import Policy, PresetName
from graphrouter.router.loading import load_router
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes

__all__ = ["PoolChooser"]


class PoolChooser:
    """Chooses by the pool alone: it knows no addresses, and nobody's health."""

    def __init__(
        self,
        router: Router | str | Path,
        policy: Policy | PresetName | None = None,
        routes: Routes | str | Path | None = None,
    ) -> None:
        """A chooser.

        Args:
            router: A router, or the folder of an artifact.
            policy: For requests that state none; the router's default without it.
            routes: Named routes, or their file.

        Raises:
            ArtifactError: There is no artifact, or it cannot be read.
        """
        self.router = router if isinstance(router, Router) else load_router(router)
        if routes is not None and not isinstance(routes, Routes):
            routes = Routes.load(routes)
        policy = Policy.preset(policy) if isinstance(policy, str) else policy
        self.state = ServingState(self.router, {}, policy, routes)
        self._decider = Decider()

    async def choose(
        self, conversation: Conversation, wanted: Wanted, among: Collection[str]
    ) -> Decision:
        """The decision on a request.

        Args:
            conversation: What it asks.
            wanted: By which policy.
            among: Models of the pool that are there.

        Raises:
            GraphRouterError: Nobody satisfies the policy, or can take the request.
        """
        pool = self.router.pool
        unable = frozenset(pool.names) - set(among) | set(find_incapable(conversation, pool))
        with telling_client():
            prompt = read_prompt(conversation)
        asked = Asked(
            self.router,
            prompt,
            wanted.task,
            wanted.policy,
            self.state.routes,
            unable,
            context=wanted.context,
            embedding=wanted.embedding,
            user=wanted.user,
            team=wanted.team,
        )
        return await self._decider.decide(asked)
