"""What the gateway serves at a moment: router, upstreams, policy and routes, as one value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from graphrouter.chats.conversation import Conversation
from graphrouter.gateway.able_models import find_incapable
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import ApiForm
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.gateway.translation.pairs import can_serve
from graphrouter.gateway.upstreams import Deployment
from graphrouter.policy import Policy
from graphrouter.router.pool_strengths import find_newcomers
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes

__all__ = ["Demand", "ReadArtifact", "ServingState", "Trial"]


class Demand(NamedTuple):
    """What a request asks of whoever answers it."""

    form: ApiForm
    conversation: Conversation
    upstream: Deployment | None = None
    """Of the upstream that keeps what the request goes on from; None where any will do."""
    allowed: frozenset[str] | None = None
    """Models that the client's key may ask; None for all."""

    def allows(self, name: str) -> bool:
        """Whether the client's key may ask a model."""
        return self.allowed is None or name in self.allowed

    def suits(self, deployment: Deployment) -> bool:
        """Whether a deployment can answer it, whatever its model can do."""
        return (
            self.form.name in deployment.endpoints
            and can_serve(self.form, deployment.protocol)
            and (not self.conversation.native or deployment.protocol == self.form.protocol)
            and (self.upstream is None or deployment.is_beside(self.upstream))
        )

    def tell_unserved(self) -> str:
        """Why no deployment of a model suits it."""
        if self.upstream is not None:
            return "its upstream does not keep the previous response"
        if self.conversation.native:
            needed = " and ".join(dict.fromkeys(self.conversation.native))
            return f"{needed} needs an upstream of protocol {self.form.protocol}"
        return f"its upstream does not serve {self.form.name}"


class ReadArtifact(NamedTuple):
    """A router as it was read."""

    name: str
    """Which artifact it is: the checksum of its manifest, or where it lies in MLflow."""
    router: Router


@dataclass(frozen=True, eq=False)
class Trial:
    """Another artifact that serves a share of the sessions, until it is promoted or aborted."""

    number: int
    """The revision that it began with; the same in all gateways of a store."""
    share: float
    """Of the sessions, between 0 and 1."""
    began: float
    """Seconds since 1970."""
    state: ServingState
    """What those sessions are served by."""
    by_reward: bool = False
    """Whether it is aborted, too, where it expects a lower utility of its choices."""

    def takes(self, session: str) -> bool:
        """Whether a session is among them: the same answer in every gateway.

        Args:
            session: Its key.
        """
        digest = hashlib.sha256(f"{self.number} {session}".encode()).digest()
        return int.from_bytes(digest[:8]) < self.share * 2**64


@dataclass(frozen=True, eq=False)
class ServingState:
    """What requests are decided and answered by; a change makes another one.

    A request reads it once and finishes on what it began with.
    """

    router: Router
    deployments: Mapping[str, tuple[Deployment, ...]]
    """Where models are served, by name: candidates of the router and others, which are never
    chosen but can be named."""
    policy: Policy | None = None
    routes: Routes | None = None
    pair: tuple[str, str] | None = None
    """Strong and weak model of thresholds; None for the best and the cheapest on each prompt."""
    revision: int = 1
    """Grows by one with every change by an admin."""
    artifact: str = ""
    """What the router was read from; what it has learned since is not in that."""
    trial: Trial | None = None

    def choose_arm(self, session: str) -> ServingState:
        """What a session is served by: this, or the artifact on trial.

        Args:
            session: Its key.
        """
        return self if self.trial is None or not self.trial.takes(session) else self.trial.state

    def change_routers(self, change: Callable[[Router], Router]) -> ServingState:
        """The same with another router, on trial too.

        Args:
            change: The other router, made of one that serves.
        """
        changed = replace(self, router=change(self.router))
        if self.trial is None:
            return changed
        on_trial = self.trial.state.change_routers(change)
        return replace(changed, trial=replace(self.trial, state=on_trial))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Models that a request may name."""
        return tuple(dict.fromkeys((*self.router.models, *self.deployments)))

    @cached_property
    def prices(self) -> dict[str, TokenPrices]:
        """Of the tokens of each candidate; those of its first deployment, else of its card."""
        return {name: self.find_prices(name) for name in self.router.models}

    def find_prices(self, name: str) -> TokenPrices:
        """Of the tokens of a model; unknown ones where nobody states them.

        Args:
            name: Of a model that is served, or of a candidate.
        """
        for each in self.deployments.get(name, ()):
            if each.prices is not None:
                return each.prices
        if name not in self.router.models:
            return TokenPrices()
        card = self.router.pool[name]
        return TokenPrices.of_usd(card.input_usd_per_mtok, card.output_usd_per_mtok)

    @cached_property
    def candidates(self) -> Mapping[str, tuple[Deployment, ...]]:
        """Where those models are served that the router can choose."""
        models = self.router.models
        return {name: each for name, each in self.deployments.items() if name in models}

    @cached_property
    def absent(self) -> frozenset[str]:
        """Candidates without an address."""
        return frozenset(self.router.models) - set(self.deployments)

    @cached_property
    def newcomers(self) -> dict[str, int]:
        """Candidates that are new, with the outcomes known of each."""
        return find_newcomers(self.router)

    def list_serving(self, name: str, demand: Demand) -> tuple[Deployment, ...]:
        """The deployments of a model that can answer a request."""
        return tuple(filter(demand.suits, self.deployments.get(name, ())))

    def find_unable(self, demand: Demand) -> dict[str, str]:
        """Why candidates cannot take a request, by name; those without an address among them."""
        found = find_incapable(demand.conversation, self.router.pool)
        for name in self.router.models:
            if not demand.allows(name):
                found[name] = "the key may not ask it"
            elif name in self.absent:
                found[name] = "no address in the file of upstreams"
            elif name not in found and not self.list_serving(name, demand):
                found[name] = demand.tell_unserved()
        return found

    def check_named(self, name: str, demand: Demand) -> None:
        """Refuse a request to a model by name that none of its deployments can answer.

        Raises:
            ApiError: They cannot, or there are none.
        """
        if not demand.allows(name):
            told = f"The key may not ask {name!r}; it may ask: {', '.join(demand.allowed or ())}."
            raise ApiError(403, told, "model", code="model_not_allowed")
        if name not in self.deployments:
            raise ApiError(404, f"{name!r} has no address in the file of upstreams.", "model")
        if not self.list_serving(name, demand):
            told = demand.tell_unserved()
            raise ApiError(400, f"{name!r} cannot take this request: {told}.", "model")
