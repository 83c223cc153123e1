"""LangChain through the gateway.

Usage:
    python examples/clients/langchain_chat.py http://127.0.0.1:8080/v1
"""

from __future__ import annotations

import os
import sys

from langchain_openai import ChatOpenAI


def main(address: str) -> None:
    """Ask twice, plainly and streamed, and say who answered."""
    key = os.environ.get("GATEWAY_KEY", "none")
    chat = ChatOpenAI(
        model="auto:performance_first",
        base_url=address,
        api_key=key,
        include_response_headers=True,
        extra_body={"graphrouter": {"task": "word_problems"}},
    )
    found = chat.invoke([("system", "Be brief."), ("human", "Add 3 and 4.")])
    print(found.response_metadata["headers"]["x-graphrouter-model"], "answers:", found.content)
    print("streamed:", "".join(str(part.content) for part in chat.stream("Add 3 and 5.")))


if __name__ == "__main__":
    main(sys.argv[1])
