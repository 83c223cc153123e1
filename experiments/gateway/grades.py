"""How soon a grade moves the next decision: in the gateway that took it, and in another one.

Usage:
    python -m experiments.gateway.grades [ARTIFACT] [--grades 20]

Two gateways share a store. Each grade is of a prompt that neither has seen; both are asked what
they expect of the graded model until that has changed. Without ARTIFACT a router is fitted on a
simulated world.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

import graphrouter as gr
from experiments.gateway.run import start

LONGEST_S = 30.0


def expect(client: httpx2.Client, address: str, prompt: str, model: str) -> float:
    """The expected effect of a model on a prompt."""
    found: Any = client.post(f"{address}/route", json={"prompt": prompt}).json()
    return next(each["effect"] for each in found["candidates"] if each["model"] == model)


def measure(artifact: Path, num_grades: int, folder: Path) -> None:
    """Prints seconds from the acknowledgement of a grade until decisions have moved."""
    upstreams = folder / "upstreams.yaml"
    upstreams.write_text("defaults: {base_url: 'http://127.0.0.1:9/v1'}\n")
    words = ("-m", "graphrouter", "serve", str(artifact), "--upstreams", str(upstreams))
    serve = (sys.executable, *words, "--port", "0", "--store", str(folder / "gateway.db"))
    router = gr.load_router(artifact)
    model = router.models[0]
    took: dict[str, list[float]] = {"here": [], "in the other": []}
    with start(*serve) as first, start(*serve) as second, httpx2.Client(timeout=60) as client:
        here, other = first.address, second.address
        for number in range(num_grades + 1):
            prompt = f"Which tarn is the {number}th deepest of {97 * number} tarns?"
            before = {each: expect(client, each, prompt, model) for each in (here, other)}
            grade = {"model": model, "prompt": prompt, "effect": float(number % 2)}
            client.post(f"{here}/outcomes", json=grade).raise_for_status()
            began = time.perf_counter()
            waiting = dict(zip((here, other), took, strict=True))
            while waiting and time.perf_counter() - began < LONGEST_S:
                for address, name in list(waiting.items()):
                    if expect(client, address, prompt, model) != before[address]:
                        took[name].append(time.perf_counter() - began)
                        del waiting[address]
            if not number:  # gateways that have just begun still load what learning needs
                took = {name: [] for name in took}
    support = router.support  # type: ignore[attr-defined]
    print(f"{len(router.models)} models, {len(support.queries)} solved queries")
    for name, seconds in took.items():
        p50, most = np.median(seconds), np.max(seconds)
        print(f"{name}: {len(seconds)} of {num_grades}, median {p50:.2f} s, at most {most:.2f} s")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("artifact", nargs="?", type=Path)
    parser.add_argument("--grades", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        artifact = asked.artifact
        if artifact is None:
            artifact = Path(place) / "router"
            gr.GraphRouter.fit(gr.simulate(num_queries=1000).data, instant=True).save(artifact)
        measure(artifact, asked.grades, Path(place))


if __name__ == "__main__":
    main()
