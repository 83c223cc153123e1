"""Whether the memory of a gateway stays flat over many requests.

Usage:
    python -m experiments.gateway.memory [ARTIFACT] [--requests 100000] [--seconds 600] \
        [--store FILE]

A provider that answers at once, a gateway in front of it, 20 requests at a time, a fifth of them
turns of sessions, and a grade of every hundredth answer. Prints the resident memory of the gateway
ten times in all. Without ARTIFACT a router is fitted on a simulated world.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2

import graphrouter as gr
from experiments.gateway.run import PROVIDER, make_artifact, start
from graphrouter.gateway.upstream_transport import AiohttpTransport

CONCURRENT = 20
STEPS = 10


def read_mb(pid: int) -> float:
    """Resident memory of a process, in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"The process {pid} has no resident memory: it has ended.")


async def insist(client: httpx2.AsyncClient, path: str, **sent: Any) -> httpx2.Response:
    """The answer; asked again where the connection was just being closed, as clients do."""
    for _ in range(3):
        try:
            return (await client.post(path, **sent)).raise_for_status()
        except httpx2.RemoteProtocolError:
            continue
    raise SystemExit("Three connections in a row were closed.")


async def ask(address: str, first: int, count: int, prompts: list[str], until: float) -> int:
    """Sends so many requests, or fewer where the time is over; how many those were."""
    waiting, done = iter(range(first, first + count)), 0
    transport = AiohttpTransport()  # so that the client leaves most of a core to the gateway
    async with httpx2.AsyncClient(base_url=address, timeout=60, transport=transport) as client:

        async def work() -> None:
            nonlocal done
            for number in waiting:
                if time.monotonic() > until:
                    return
                prompt = f"{prompts[number % len(prompts)]} ({number})"
                body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
                headers = {"x-session-id": str(number // 50)} if number % 5 == 0 else {}
                found = await insist(client, "/chat/completions", json=body, headers=headers)
                done += 1
                if number % 100 == 0 and "x-graphrouter-decision" in found.headers:
                    decision = found.headers["x-graphrouter-decision"]
                    grade = {"decision": decision, "effect": 1}
                    await insist(client, "/outcomes", json=grade)

        await asyncio.gather(*(work() for _ in range(CONCURRENT)))
    return done


def measure(artifact: Path, num_requests: int, seconds: float, store: str, folder: Path) -> None:
    """Prints requests and megabytes."""
    support = gr.load_router(artifact).support  # type: ignore[attr-defined]
    prompts = support.queries["prompt"].tolist()[:500]
    with start(sys.executable, "-c", PROVIDER) as provider:
        upstreams = folder / "upstreams.yaml"
        upstreams.write_text(f"defaults: {{base_url: '{provider.address}'}}\n")
        words = ("-m", "graphrouter", "serve", str(artifact), "--upstreams", str(upstreams))
        with start(sys.executable, *words, "--port", "0", "--store", store) as gateway:
            done, until = 0, time.monotonic() + seconds
            began = time.monotonic()
            print(f"{0:>9,} requests: {read_mb(gateway.pid):7.1f} MB", flush=True)
            while done < num_requests and time.monotonic() < until:
                count = num_requests // STEPS
                done += asyncio.run(ask(gateway.address, done, count, prompts, until))
                print(f"{done:>9,} requests: {read_mb(gateway.pid):7.1f} MB", flush=True)
            print(f"{done / (time.monotonic() - began):.0f} requests a second, ", end="")
            print(f"{1e3 * gateway.processor_s / max(done, 1):.2f} ms of a processor each")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("artifact", nargs="?", type=Path)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--store", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        artifact = asked.artifact or make_artifact(Path(place))
        store = asked.store or str(Path(place) / "gateway.db")
        measure(artifact, asked.requests, asked.seconds, store, Path(place))


if __name__ == "__main__":
    main()
