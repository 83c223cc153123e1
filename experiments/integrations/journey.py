"""LiteLLM's router and proxy with the plugin, Envoy, and clients of the gateway: who is reached?

Usage:
    bash experiments/integrations/run.sh FOLDER [PYTHON]

Prompts are asked under three policies through `litellm.Router`, through LiteLLM's proxy as a
process with OpenAI's client, and in a group that the pool does not know; `examples/clients` run
against `graphrouter serve` of PYTHON's environment.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import litellm
import openai
import yaml

import graphrouter as gr
from experiments.gateway.run import KEY, serve_litellm, start
from experiments.integrations.envoy_journey import ask_through_envoy
from graphrouter.gateway import LiteLLMPlugin

GROUP, OTHER = "smart", "fixed"
PROVIDER = ("-m", "experiments.integrations.provider")
PLUGIN = """
from experiments.integrations.envoy_journey import ask_through_envoy
from graphrouter.gateway import LiteLLMPlugin

plugin = LiteLLMPlugin({artifact!r}, policy={policy!r})
"""
PRESETS = ("cost_first", "balanced", "performance_first")
PROMPTS = ("Add 3 and 4.", "Translate 'apple' into French.", "Sort the list 3, 1, 2.")


def deployments(models: tuple[str, ...], provider: str) -> list[dict[str, object]]:
    """A group of the pool's models, and one of a model that the pool does not know."""
    served = {"api_base": provider, "api_key": "none"}
    found: list[dict[str, object]] = [
        {"model_name": GROUP, "litellm_params": {"model": f"openai/{model}", **served}}
        for model in models
    ]
    stranger = {"model": "openai/stranger", **served}
    return [*found, {"model_name": OTHER, "litellm_params": stranger}]


def chat(prompt: str) -> list[dict[str, str]]:
    """The messages of a prompt."""
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]


async def ask_router(router: gr.GraphRouter, provider: str, preset: str) -> int:
    """Calls through LiteLLM's router that went where the graph router sends them."""
    plugin = LiteLLMPlugin(router, policy=preset)  # type: ignore[arg-type]
    inside = litellm.Router(model_list=deployments(router.models, provider), plugins=[plugin])
    right = 0
    for prompt in PROMPTS:
        found = await inside.acompletion(model=GROUP, messages=chat(prompt))
        right += found.choices[0].message.content == choose(router, prompt, preset)
    other = await inside.acompletion(model=OTHER, messages=chat(PROMPTS[0]))
    return right + (other.choices[0].message.content == "stranger")


def choose(router: gr.GraphRouter, prompt: str, preset: str) -> str:
    """Whom the graph router chooses by itself."""
    return router.route(prompt, policy=gr.Policy.preset(preset)).model  # type: ignore[arg-type]


def write_settings(folder: Path, router: gr.GraphRouter, provider: str, preset: str) -> Path:
    """Settings of LiteLLM's proxy with the plugin."""
    router.save(folder / "artifact", overwrite=True)
    text = PLUGIN.format(artifact=str(folder / "artifact"), policy=preset)
    (folder / "graph_plugin.py").write_text(text)
    settings = {
        "model_list": deployments(router.models, provider),
        "router_settings": {"plugins": ["graph_plugin.plugin"]},
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    return config


def ask_proxy(router: gr.GraphRouter, address: str, preset: str) -> int:
    """Calls through LiteLLM's proxy that went where the graph router sends them."""
    client = openai.OpenAI(base_url=address, api_key=KEY, max_retries=0)
    right = 0
    for prompt in PROMPTS:
        found = client.chat.completions.create(model=GROUP, messages=chat(prompt))
        right += found.choices[0].message.content == choose(router, prompt, preset)
    other = client.chat.completions.create(model=OTHER, messages=chat(PROMPTS[0]))
    return right + (other.choices[0].message.content == "stranger")


def run_clients(folder: Path, provider: str, python: str) -> list[str]:
    """What the examples print, asked through `graphrouter serve`."""
    upstreams = folder / "upstreams.yaml"
    upstreams.write_text(yaml.safe_dump({"defaults": {"base_url": provider}}))
    words = ("serve", str(folder / "artifact"), "--upstreams", str(upstreams), "--port", "0")
    lines = []
    with start(python, "-m", "graphrouter", *words) as gateway:
        for script in sorted(Path("examples/clients").glob("*.py")):
            command = [sys.executable, str(script), gateway.address]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(f"{script.name}: {done.stderr}")
            lines += done.stdout.splitlines()
    return lines


def main(folder: Path, python: str) -> None:
    """All of it; ends with an error where a call went elsewhere."""
    data = gr.simulate(num_queries=150, num_models=4, seed=1).data
    hashing = gr.load_config(overrides=["encoder.name=hashing"])
    router = gr.GraphRouter.fit(data, hashing, instant=True)
    right, asked, chosen = 0, 0, set()
    with start(sys.executable, *PROVIDER) as server:
        provider = server.address
        for preset in PRESETS:
            right += asyncio.run(ask_router(router, provider, preset))
            asked += len(PROMPTS) + 1
            chosen |= {choose(router, prompt, preset) for prompt in PROMPTS}
        preset = PRESETS[-1]
        config = write_settings(folder, router, provider, preset)
        with serve_litellm(Path(sys.executable).with_name("litellm"), config) as proxy:
            right += ask_proxy(router, proxy.address, preset)
            asked += len(PROMPTS) + 1
        lines = run_clients(folder, provider, python)
    reached, sent = ask_through_envoy(folder, folder / "artifact", python, PROMPTS, PRESETS)
    best = choose(router, PROMPTS[0], preset)
    print(*lines, sep="\n")
    print(f"Envoy: {reached} of {sent} requests where the router sends them")
    print(f"LiteLLM: {right} of {asked} calls where the router sends them, {len(chosen)} models")
    if (
        right < asked
        or reached < sent
        or len(chosen) < 2
        or not all(best in line for line in lines)
    ):
        raise SystemExit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
