"""Asks one question through clients that other projects wrote, streamed and whole.

address of the API, question -> one JSON object: client -> its answer

    python harnesses/clients.py http://127.0.0.1:8000/v1 "Use each of 9, 7, 3 once to reach 21."

It runs in .venv-harness and needs nothing of Steiner. The agent frameworks offer the model a tool,
which it must not call.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable

MODEL, KEY = "steiner", "none"


def ask_langchain(url: str, question: str) -> list[str]:
    """The answers of langchain-openai."""
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model=MODEL, base_url=url, api_key=KEY, temperature=0)
    streamed = "".join(chunk.content for chunk in chat.stream(question))
    return [chat.invoke(question).content, streamed]


def ask_litellm(url: str, question: str) -> list[str]:
    """The answers of LiteLLM."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it downloads a price list
    import litellm

    request = {
        "model": f"openai/{MODEL}",
        "api_base": url,
        "api_key": KEY,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
    }
    chunks = litellm.completion(**request, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return [litellm.completion(**request).choices[0].message.content, streamed]


def ask_pydantic_ai(url: str, question: str) -> list[str]:
    """The answer of an agent of pydantic-ai; it uses chat completions."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=url, api_key=KEY)
    agent = Agent(OpenAIChatModel(MODEL, provider=provider), tools=[add])
    return [agent.run_sync(question, model_settings={"temperature": 0}).output]


def ask_openai_agents(url: str, question: str) -> list[str]:
    """The answer of an agent of openai-agents; it uses responses."""
    from agents import (
        Agent,
        ModelSettings,
        OpenAIResponsesModel,
        Runner,
        function_tool,
        set_tracing_disabled,
    )
    from openai import AsyncOpenAI

    set_tracing_disabled(True)  # traces would go to OpenAI

    async def answer() -> str:
        async with AsyncOpenAI(base_url=url, api_key=KEY) as client:
            agent = Agent(
                name="solver",
                model=OpenAIResponsesModel(MODEL, client),
                tools=[function_tool(add)],
                model_settings=ModelSettings(temperature=0),
            )
            return str((await Runner.run(agent, question)).final_output)

    return [asyncio.run(answer())]


def add(x: int, y: int) -> int:
    """Adds two numbers."""
    raise AssertionError("the model called a tool")


CLIENTS: dict[str, Callable[[str, str], list[str]]] = {
    "langchain-openai": ask_langchain,
    "litellm": ask_litellm,
    "pydantic-ai": ask_pydantic_ai,
    "openai-agents": ask_openai_agents,
}


if __name__ == "__main__":
    print(json.dumps({name: ask(*sys.argv[1:]) for name, ask in CLIENTS.items()}))
