"""What a gateway adds to a request: time beside a call of the same provider without it.

Usage:
    python -m experiments.gateway.run [ARTIFACT] [--requests 2000] [--concurrent 50] \
        [--litellm FOLDER/bin/litellm]

A provider that answers at once, a gateway (`graphrouter serve`) in front of it, and a client, three
processes on loopback. Requests go directly and through the gateway by turns. Without ARTIFACT a
router is fitted on a simulated world.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np

import graphrouter as gr

PROVIDER = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    await request.body()
    return JSONResponse({"choices": [{"message": {"role": "assistant", "content": "7"}}]})

listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
print("at http://127.0.0.1:%d/v1" % listening.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listening])
"""
ROUNDS = 4
PROMPTS = 200


@contextmanager
def start(*words: str) -> Iterator[str]:
    """A process that says its address on its first line."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


async def ask(address: str, model: str, prompts: list[str], concurrent: int) -> list[float]:
    """Seconds of each request."""
    waiting, took = iter(prompts), []
    limits = httpx2.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
    async with httpx2.AsyncClient(base_url=address, limits=limits, timeout=60) as client:

        async def work() -> None:
            for prompt in waiting:
                body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
                began = time.perf_counter()
                response = await client.post("/chat/completions", json=body)
                took.append(time.perf_counter() - began)
                response.raise_for_status()

        await asyncio.gather(*(work() for _ in range(concurrent)))
    return took


def measure(artifact: Path, num_requests: int, concurrent: int, folder: Path) -> None:
    """Prints the figures of requests with and without the gateway."""
    router = gr.load_router(artifact)
    known = router.support.queries["prompt"].tolist()[:PROMPTS]
    prompts = [known[i % len(known)] + f" ({i})" for i in range(num_requests // ROUNDS)]
    began = time.perf_counter()
    for prompt in prompts[:PROMPTS]:
        router.route(prompt)
    decided_ms = 1e3 * (time.perf_counter() - began) / len(prompts[:PROMPTS])
    with start(sys.executable, "-c", PROVIDER) as provider:
        upstreams = folder / "upstreams.yaml"
        upstreams.write_text(f"defaults: {{base_url: '{provider}'}}\n")
        serve = ("serve", str(artifact), "--upstreams", str(upstreams), "--port", "0")
        with start(sys.executable, "-m", "graphrouter", *serve) as gateway:
            found: dict[str, list[float]] = {"directly": [], "through it": []}
            seconds = dict.fromkeys(found, 0.0)
            for _ in range(ROUNDS):
                for name, address in (("directly", provider), ("through it", gateway)):
                    began = time.perf_counter()
                    found[name] += asyncio.run(ask(address, "auto", prompts, concurrent))
                    seconds[name] += time.perf_counter() - began
            alone = asyncio.run(ask(gateway, "auto", prompts[:PROMPTS], 1))
            beside = asyncio.run(ask(provider, "auto", prompts[:PROMPTS], 1))
    print(f"{len(router.models)} models, {len(router.support.queries)} solved queries")
    print(f"one decision in Python: {decided_ms:.2f} ms")
    added = 1e3 * (np.median(alone) - np.median(beside))
    print(f"one request at a time: {added:.2f} ms more at the median")
    print(f"{concurrent} at a time:")
    for name, took in found.items():
        p50, p99 = 1e3 * np.quantile(took, [0.5, 0.99])
        print(f"  {name}: {p50:.1f} ms, p99 {p99:.1f} ms, {len(took) / seconds[name]:.0f} a second")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("artifact", nargs="?", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrent", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        artifact = asked.artifact
        if artifact is None:
            artifact = Path(place) / "router"
            gr.GraphRouter.fit(gr.simulate(num_queries=1000).data, instant=True).save(artifact)
        measure(artifact, asked.requests, asked.concurrent, Path(place))


if __name__ == "__main__":
    main()
