"""How soon does another gateway serve by a change that an admin has made at one?

Two gateways, each with connections of its own, share one store; changes of a card are made at the
first, and the second is asked for the card until it has the change. The time counts from the
acknowledgement of the change.

    python -m experiments.gateway.changes --store postgresql://user@host/name [--changes 100]
    python -m experiments.gateway.changes --store changes.db
"""

from __future__ import annotations

import argparse
import threading
import time

import httpx2
import numpy as np
import uvicorn

import graphrouter as gr
from graphrouter.gateway import Deployment, Memory, create_app
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.stored_calls import WhatIsKept

KEY = "experiment"
PATIENCE_S = 30


def main() -> None:
    """Print the median, the 95th percentile and the longest time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--changes", type=int, default=100)
    words = parser.parse_args()
    data = gr.simulate(num_queries=200, num_models=6).data
    router = gr.GraphRouter.fit(data, instant=True)
    nowhere = ("http://127.0.0.1:9/v1", {}, {}, 5, 0)
    served = {name: (Deployment(name, *nowhere),) for name in router.models}
    clients = []
    for _ in range(2):
        memory = Memory(Store.open(words.store), WhatIsKept({}, "experiment"))
        app = create_app(router, served, memory=memory, key=KEY)
        headers = {"authorization": f"Bearer {KEY}"}
        clients.append(httpx2.Client(base_url=serve(app), headers=headers, timeout=PATIENCE_S))
    time.sleep(2)
    seconds = [
        change(*clients, f"/admin/models/{router.models[0]}", i) for i in range(words.changes)
    ]
    middle, late = np.quantile(seconds, [0.5, 0.95])
    print(f"{len(seconds)} changes: median {middle:.3f} s, 95 % {late:.3f} s", end="")
    print(f", most {max(seconds):.3f} s")


def change(one: httpx2.Client, other: httpx2.Client, path: str, number: int) -> float:
    """Seconds from the acknowledgement at one gateway until the other has the change."""
    text = f"Description {number}."
    one.patch(path, json={"description": text}).raise_for_status()
    began = time.perf_counter()
    while other.get(path).json()["card"]["description"] != text:
        if time.perf_counter() > began + PATIENCE_S:
            raise SystemExit(f"change {number} was not seen within {PATIENCE_S} s")
    taken = time.perf_counter() - began
    time.sleep(float(np.random.default_rng(number).uniform(0, 0.5)))  # not in step with the looks
    return taken


def serve(app: object) -> str:
    """Serve an application from a thread; its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


if __name__ == "__main__":
    main()
