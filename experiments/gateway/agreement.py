"""How soon two gateways agree: on a change that an admin has made at one, and on a grade.

Usage:
    python -m experiments.gateway.agreement [ARTIFACT] [--store postgresql://user@host/name] \
        [--changes 60] [--grades 30]

Two gateways as on two hosts: processes of their own, each with a home, a working folder and a copy
of the artifact and the upstreams of its own; they share the store and nothing else. Seconds count
from the acknowledgement at one gateway until the other one serves by it: a changed card until it
is shown, and a grade of a prompt that neither has seen until what is expected of the graded model
has changed, at the gateway that took it too. Without --store they share a file of SQLite, without
ARTIFACT a router is fitted on a simulated world.
"""

from __future__ import annotations

import argparse
import math
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

import graphrouter as gr
from experiments.gateway.run import make_artifact, start

KEY = "EXPERIMENT_KEY"
PATIENCE_S = 30.0
PAUSE_S = 0.5
"""Most seconds between two changes, so that they are not in step with looks at the store."""


def open_host(running: ExitStack, artifact: Path, folder: Path, store: str) -> httpx2.Client:
    """A client of a gateway that is on a host of its own, as far as one machine has two."""
    folder.mkdir()
    shutil.copytree(artifact, folder / "router")
    (folder / "upstreams.yaml").write_text("defaults: {base_url: 'http://127.0.0.1:9/v1'}\n")
    words = ("serve", "router", "--upstreams", "upstreams.yaml", "--key-env", KEY, "--port", "0")
    gateway = running.enter_context(
        start(sys.executable, "-m", "graphrouter", *words, "--store", store, home=folder)
    )
    headers = {"authorization": f"Bearer {os.environ[KEY]}"}
    client = httpx2.Client(
        base_url=gateway.address.removesuffix("/v1"), headers=headers, timeout=PATIENCE_S
    )
    return running.enter_context(client)


def wait_until(is_seen: Callable[[], bool]) -> float:
    """Seconds until something is so."""
    began = time.perf_counter()
    while not is_seen():
        if time.perf_counter() > began + PATIENCE_S:
            raise SystemExit(f"It was not seen within {PATIENCE_S:g} s.")
    return time.perf_counter() - began


def change_card(here: httpx2.Client, other: httpx2.Client, model: str, number: int) -> float:
    """Seconds until the other gateway has the change."""
    path, text = f"/admin/models/{model}", f"Description {number}."
    here.patch(path, json={"description": text}).raise_for_status()
    return wait_until(lambda: other.get(path).json()["card"]["description"] == text)


def expect(client: httpx2.Client, prompt: str, model: str) -> float:
    """The expected effect of a model on a prompt."""
    found: Any = client.post("/v1/route", json={"prompt": prompt}).raise_for_status().json()
    return next(each["effect"] for each in found["candidates"] if each["model"] == model)


def grade(here: httpx2.Client, other: httpx2.Client, model: str, number: int) -> list[float]:
    """Seconds until the gateway that took the grade has moved, and until the other one has."""
    prompt = f"Which tarn is the {number}th deepest of {97 * number} tarns?"
    before = [expect(client, prompt, model) for client in (here, other)]
    sent = {"model": model, "prompt": prompt, "effect": float(number % 2)}
    here.post("/v1/outcomes", json=sent).raise_for_status()
    found, began = [math.nan, math.nan], time.perf_counter()

    def have_both_moved() -> bool:
        for row, client in enumerate((here, other)):
            if math.isnan(found[row]) and expect(client, prompt, model) != before[row]:
                found[row] = time.perf_counter() - began
        return not any(map(math.isnan, found))

    wait_until(have_both_moved)
    return found


def tell(what: str, seconds: list[float]) -> None:
    """Prints the middle, the 95th percentile and the longest."""
    middle, late = np.quantile(seconds, [0.5, 0.95])
    print(f"{what}: {len(seconds)}, median {middle:.3f} s, 95 % {late:.3f} s", end="")
    print(f", most {max(seconds):.3f} s", flush=True)


def measure(artifact: Path, store: str, num_changes: int, num_grades: int, folder: Path) -> None:
    """Prints how soon changes and grades are seen."""
    router = gr.load_router(artifact)
    model, rng = router.models[0], np.random.default_rng(0)
    os.environ[KEY] = secrets.token_hex(16)
    with ExitStack() as running:
        pair = [
            open_host(running, artifact, folder / name, store or str(folder / "gateway.db"))
            for name in ("one", "other")
        ]
        seconds = []
        for number in range(num_changes + 1):
            time.sleep(rng.uniform(0, PAUSE_S))
            seconds.append(change_card(*pair, model, number))
        took = [grade(*pair, model, number) for number in range(num_grades + 1)]
    # Without the first ones: gateways that have just begun still load what learning needs.
    tell("changes, at the other gateway", seconds[1:])
    tell("grades, where they were given", [here_s for here_s, _ in took[1:]])
    tell("grades, at the other gateway", [other_s for _, other_s in took[1:]])
    print(f"load of the machine in the last minute: {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("artifact", nargs="?", type=Path)
    parser.add_argument("--store", default="")
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--grades", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        artifact = asked.artifact or make_artifact(Path(place))
        measure(artifact, asked.store, asked.changes, asked.grades, Path(place))


if __name__ == "__main__":
    main()
