"""What a gateway adds to a request: time beside a call of the same provider without it.

Usage:
    python -m experiments.gateway.run [ARTIFACT] [--requests 2000] [--concurrent 50] \
        [--delay 0.5] [--litellm FOLDER/bin/litellm]

A provider that answers at once, or after about `--delay` seconds, a gateway (`graphrouter serve`)
in front of it, and a client, three processes on loopback. Requests go directly and through the
gateway by turns. Where they share the cores with each other and with strangers, times are those of
a queue; so the processor that each process takes for a request is told too, which says how many a
worker answers in a second that has a core to itself. Without ARTIFACT a router is fitted on a
simulated world. With --litellm, that proxy of LiteLLM (in an environment of its own,
`experiments/integrations/run.sh`) stands beside the gateway and takes its turns; it has one
deployment, and nothing to choose.

Where the provider answers at once, as many requests as `--concurrent` says are always in the
gateway, and each waits for all of them (Little's law). Where it takes its time, as models do, they
are with the provider, and come back one by one: what it takes is drawn from half to one and a half
times `--delay`, each time anew, and told in its answer, so that what is added is known of each.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import numpy as np

import graphrouter as gr

PROVIDER = """
import asyncio, random, socket, sys, time, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

delay_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0

async def answer(request):
    began = time.perf_counter()
    await request.body()
    if delay_s:
        await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))
    took = f"{time.perf_counter() - began:.6f}"
    return JSONResponse({"choices": [{"message": {"role": "assistant", "content": took}}]})

listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
print("at http://127.0.0.1:%d/v1" % listening.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listening])
"""
"""Its content is the seconds that it has taken."""
LITELLM = """
model_list:
  - model_name: auto
    litellm_params: {{model: openai/provided, api_base: '{provider}', api_key: none}}
"""
KEY = f"sk-{secrets.token_hex(16)}"
"""Of LiteLLM's proxy, which starts with none but a long one."""
PATIENCE_S = 180
IDLE_S = 0.05
"""Seconds of a processor that a process takes in two seconds of waiting, at most."""
ROUNDS = 4
PROMPTS = 200


class Took(NamedTuple):
    """Seconds of one request."""

    client_s: float
    """Until the client had its answer."""
    provider_s: float
    """Of them, the provider's."""

    @property
    def added_s(self) -> float:
        """What all but the provider have taken."""
        return self.client_s - self.provider_s


class Server(NamedTuple):
    """A process that answers."""

    address: str
    pid: int

    @property
    def processor_s(self) -> float:
        """Seconds of a processor that it has taken, all its threads together."""
        told = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    def wait_until_idle(self) -> None:
        """Wait until it has loaded what it loads after its start."""
        until, before = time.monotonic() + PATIENCE_S, -1.0
        while self.processor_s - before > IDLE_S and time.monotonic() < until:
            before = self.processor_s
            time.sleep(2)


@contextmanager
def start(*words: str, home: Path | None = None) -> Iterator[Server]:
    """A process that says its address on its first line; `home` is also where it works."""
    environment = None if home is None else {**os.environ, "HOME": str(home)}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, cwd=home, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().split()[-1], process.pid)
        finally:
            process.terminate()


@contextmanager
def serve_litellm(command: Path, config: Path) -> Iterator[Server]:
    """LiteLLM's proxy on a free port; its log lies beside its settings."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "LITELLM_MASTER_KEY": KEY, "LITELLM_LOG": "ERROR"}
    log = config.with_suffix(".log")
    with (
        log.open("w") as out,
        subprocess.Popen([command, *words], stdout=out, stderr=out, env=environment) as proxy,
    ):
        try:
            until = time.monotonic() + PATIENCE_S
            while not answers(port):
                if proxy.poll() is not None or time.monotonic() > until:
                    raise SystemExit(log.read_text())
                time.sleep(0.5)
            yield Server(f"http://127.0.0.1:{port}/v1", proxy.pid)
        finally:
            proxy.terminate()


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


async def ask(
    address: str, model: str, prompts: list[str], concurrent: int, delay_s: float = 0.0
) -> list[Took]:
    """What each request took; the first ones of all begin within `delay_s`."""
    waiting, found = iter(prompts), []
    limits = httpx2.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(
        base_url=address, limits=limits, timeout=60, headers=headers
    ) as client:

        async def work(number: int) -> None:
            await asyncio.sleep(delay_s * number / concurrent)
            for prompt in waiting:
                body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
                began = time.perf_counter()
                response = await client.post("/chat/completions", json=body)
                client_s = time.perf_counter() - began
                told = response.raise_for_status().json()["choices"][0]["message"]["content"]
                found.append(Took(client_s, float(told)))

        await asyncio.gather(*map(work, range(concurrent)))
    return found


def measure(
    artifact: Path,
    num_requests: int,
    concurrent: int,
    delay_s: float,
    folder: Path,
    litellm: Path | None,
) -> None:
    """Prints the figures of requests with and without the gateway."""
    router = gr.load_router(artifact)
    known = router.support.queries["prompt"].tolist()[:PROMPTS]
    prompts = [known[i % len(known)] + f" ({i})" for i in range(num_requests // ROUNDS)]
    began = time.perf_counter()
    for prompt in prompts[:PROMPTS]:
        router.route(prompt)
    decided_ms = 1e3 * (time.perf_counter() - began) / len(prompts[:PROMPTS])
    with ExitStack() as running, start(sys.executable, "-c", PROVIDER, str(delay_s)) as provider:
        upstreams = folder / "upstreams.yaml"
        upstreams.write_text(f"defaults: {{base_url: '{provider.address}'}}\n")
        words = ("-m", "graphrouter", "serve", str(artifact), "--upstreams", str(upstreams))
        serve = (sys.executable, *words, "--port", "0", "--store")
        servers = {
            "directly": provider,
            "through it": running.enter_context(start(*serve, str(folder / "gateway.db"))),
            "without a store": running.enter_context(start(*serve, "none")),
        }
        if litellm is not None:
            config = folder / "litellm.yaml"
            config.write_text(LITELLM.format(provider=provider.address))
            servers["LiteLLM"] = running.enter_context(serve_litellm(litellm, config))
        for server in servers.values():
            asyncio.run(ask(server.address, "auto", prompts[:PROMPTS], concurrent))
            server.wait_until_idle()
        found: dict[str, list[Took]] = {name: [] for name in servers}
        seconds, processor_s = dict.fromkeys(found, 0.0), dict.fromkeys(found, 0.0)
        alone: dict[str, list[Took]] = {name: [] for name in servers}
        alone_s = dict.fromkeys(found, 0.0)
        for _ in range(ROUNDS):
            for name, server in servers.items():
                began, taken = time.perf_counter(), server.processor_s
                found[name] += asyncio.run(
                    ask(server.address, "auto", prompts, concurrent, delay_s)
                )
                seconds[name] += time.perf_counter() - began
                processor_s[name] += server.processor_s - taken
                if not delay_s:
                    taken, few = server.processor_s, prompts[: PROMPTS // ROUNDS]
                    alone[name] += asyncio.run(ask(server.address, "auto", few, 1))
                    alone_s[name] += server.processor_s - taken
    print(f"{len(router.models)} models, {len(router.support.queries)} solved queries")
    print(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f}")
    print(f"one decision in Python: {decided_ms:.2f} ms")
    for name, took in found.items():
        print(f"{name}:")
        if alone[name]:
            tell("one at a time", alone[name], alone_s[name])
        tell(f"{concurrent} at a time", took, processor_s[name])
        print(f"  {len(took) / seconds[name]:.0f} a second")


def tell(how: str, took: list[Took], processor_s: float) -> None:
    """Prints what requests took beside the provider, and of a processor."""
    p50, p99 = 1e3 * np.quantile([each.added_s for each in took], [0.5, 0.99])
    taken_ms = 1e3 * processor_s / len(took)
    print(
        f"  {how}: {p50:.1f} ms beside the provider's, p99 {p99:.1f} ms; "
        f"{taken_ms:.2f} ms of a processor, so {1e3 / taken_ms:.0f} a second"
    )


def make_artifact(folder: Path) -> Path:
    """A router of 12 models and 700 solved queries of the simulated world, kept in a folder."""
    artifact = folder / "router"
    gr.GraphRouter.fit(gr.simulate(num_queries=1000).data, instant=True).save(artifact)
    return artifact


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("artifact", nargs="?", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrent", type=int, default=50)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer")
    parser.add_argument("--litellm", type=Path, help="LiteLLM's command; left out without it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        artifact = asked.artifact or make_artifact(Path(place))
        measure(artifact, asked.requests, asked.concurrent, asked.delay, Path(place), asked.litellm)


if __name__ == "__main__":
    main()
