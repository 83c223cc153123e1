"""What an endpoint needs to know of its form of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.conversations import Conversation
from graphrouter.gateway.server_events import write_event

__all__ = ["ApiForm", "Protocol"]

Protocol = Literal["openai", "anthropic"]


@dataclass(frozen=True)
class ApiForm:
    """A form of requests, as one endpoint takes it."""

    name: str
    """As `endpoints` of an upstream calls it."""
    path: str
    """Behind an address."""
    protocol: Protocol
    """In which upstreams understand it as it is."""
    read: Callable[[Mapping[str, Any]], Conversation]
    """What a body asks, checked as far as the choice depends on it; raises ApiError."""
    takes_parameters: bool = True
    """Whether parameters of an upstream go with it."""
    can_choose: bool = True
    """Whether `auto` makes sense; an embedding of one model is of no use to another."""

    def tell(self, error: ApiError) -> dict[str, Any]:
        """The body of a response that tells an error."""
        return error.to_anthropic() if self.protocol == "anthropic" else error.to_dict()

    def tell_in_stream(self, error: ApiError) -> bytes:
        """An event that tells an error in the middle of a stream."""
        if self.protocol == "anthropic":
            return write_event(error.to_anthropic(), "error")
        if self.name == "responses":
            told = {"type": "error", "code": error.code, "message": error.message, "param": None}
            return write_event({**told, "sequence_number": 0}, "error")
        return write_event(error.to_dict())
