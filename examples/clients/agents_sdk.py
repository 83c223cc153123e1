"""An agent of OpenAI's SDK through the gateway.

Usage:
    python examples/clients/agents_sdk.py http://127.0.0.1:8080/v1
"""

from __future__ import annotations

import asyncio
import os
import sys

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI


@function_tool
def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


async def main(address: str) -> None:
    """Run an agent that may use a tool; each of its turns is routed."""
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=address, api_key=os.environ.get("GATEWAY_KEY", "none"))
    model = OpenAIChatCompletionsModel(model="auto:performance_first", openai_client=client)
    agent = Agent(name="clerk", instructions="Be brief.", model=model, tools=[add])
    found = await Runner.run(agent, "Add 3 and 4.")
    print("the agent says:", found.final_output, "after", len(found.raw_responses), "turns")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
