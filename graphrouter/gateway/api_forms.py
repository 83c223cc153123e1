"""What endpoints need to know of their forms of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graphrouter.chats.anthropic_messages import read_messages
from graphrouter.chats.chat_completions import read_chat
from graphrouter.chats.conversation import Conversation
from graphrouter.chats.openai_responses import read_response_request
from graphrouter.chats.plain_inputs import read_completion, read_embedding
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.request_bodies import telling_client
from graphrouter.gateway.server_events import write_event

__all__ = [
    "CHAT_COMPLETIONS",
    "COMPLETIONS",
    "COUNT_TOKENS",
    "EMBEDDINGS",
    "MESSAGES",
    "RESPONSES",
    "ApiForm",
    "Protocol",
]

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
    reader: Callable[[Mapping[str, Any]], Conversation]
    """What a body asks, checked as far as the choice depends on it; raises ChatError."""
    takes_parameters: bool = True
    """Whether parameters of an upstream go with it."""
    can_choose: bool = True
    """Whether `auto` makes sense; an embedding of one model is of no use to another."""

    def read(self, body: Mapping[str, Any]) -> Conversation:
        """What a body asks.

        Raises:
            ApiError: It holds no such request.
        """
        with telling_client():
            return self.reader(body)

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


CHAT_COMPLETIONS = ApiForm("chat", "/chat/completions", "openai", read_chat)
RESPONSES = ApiForm("responses", "/responses", "openai", read_response_request)
MESSAGES = ApiForm("messages", "/messages", "anthropic", read_messages)
COUNT_TOKENS = ApiForm(
    "count_tokens", "/messages/count_tokens", "anthropic", read_messages, takes_parameters=False
)
COMPLETIONS = ApiForm("completions", "/completions", "openai", read_completion)
EMBEDDINGS = ApiForm(
    "embeddings",
    "/embeddings",
    "openai",
    read_embedding,
    takes_parameters=False,
    can_choose=False,
)
