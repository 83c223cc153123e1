"""Chats: what a request asks, and the text that it is routed by, in logs as in serving."""

from graphrouter.chats.chat_prompts import Chat, Prompt, read_any_chat, to_text
from graphrouter.chats.conversation import Conversation, Turn
from graphrouter.chats.routed_text import read_prompt

__all__ = ["Chat", "Conversation", "Prompt", "Turn", "read_any_chat", "read_prompt", "to_text"]
