"""Requests of one API for upstreams of another: chats of OpenAI's and messages of Anthropic's."""

__all__: list[str] = []
