"""What the gateway serves at a moment: router, upstreams, policy and routes, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.conversations import Conversation, find_incapable
from graphrouter.gateway.forms.api_form import ApiForm
from graphrouter.gateway.translation.pairs import can_serve
from graphrouter.gateway.upstreams import Deployment
from graphrouter.policy import Policy
from graphrouter.router.protocol import Router
from graphrouter.routes import Routes

__all__ = ["ServingState"]


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

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Models that a request may name."""
        return tuple(dict.fromkeys((*self.router.models, *self.deployments)))

    @cached_property
    def absent(self) -> frozenset[str]:
        """Candidates without an address."""
        return frozenset(self.router.models) - set(self.deployments)

    def list_serving(
        self, name: str, form: ApiForm, conversation: Conversation
    ) -> tuple[Deployment, ...]:
        """The deployments of a model that can answer a request.

        Args:
            name: Of the model.
            form: Of the request.
            conversation: What it asks.
        """
        return tuple(
            each
            for each in self.deployments.get(name, ())
            if form.name in each.endpoints
            and can_serve(form, each.protocol)
            and (not conversation.native or each.protocol == form.protocol)
        )

    def find_unable(self, form: ApiForm, conversation: Conversation) -> dict[str, str]:
        """Why candidates cannot take a request, by name; those without an address among them.

        Args:
            form: Of the request.
            conversation: What it asks.
        """
        found = find_incapable(conversation, self.router.pool)
        for name in self.router.models:
            if name in self.absent:
                found[name] = "no address in the file of upstreams"
            elif name not in found and not self.list_serving(name, form, conversation):
                found[name] = _tell_unserved(form, conversation)
        return found

    def check_named(self, name: str, form: ApiForm, conversation: Conversation) -> None:
        """Refuse a request to a model by name that none of its deployments can answer.

        Args:
            name: Of the model.
            form: Of the request.
            conversation: What it asks.

        Raises:
            ApiError: They cannot, or there are none.
        """
        if name not in self.deployments:
            raise ApiError(404, f"{name!r} has no address in the file of upstreams.", "model")
        if not self.list_serving(name, form, conversation):
            told = _tell_unserved(form, conversation)
            raise ApiError(400, f"{name!r} cannot take this request: {told}.", "model")


def _tell_unserved(form: ApiForm, conversation: Conversation) -> str:
    if conversation.native:
        needed = " and ".join(dict.fromkeys(conversation.native))
        return f"{needed} needs an upstream of protocol {form.protocol}"
    return f"its upstream does not serve {form.name}"
