"""A route of LLMRouter 0.4 (`llmrouter-lib`) as a yardstick: the same outcomes and embeddings.

Its kNN router and its graph router run in an environment of their own, which is made once: torch
first, then the library without what it asks for, and of that only what these two import. Its text
encoder is replaced in memory by our vectors (see `llmrouter_routes`), so its route is timed without
encoding; ours is timed with it, evidence read. Ours and theirs take turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import graphrouter as gr
from experiments.bench.report import BenchError

ROUTES = Path(__file__).with_name("llmrouter_routes.py")
NAME = "LLMRouter 0.4"
ROUTERS = ("knn", "graph")
NUM_CHARS = 500
MOST_ROUTES = 10
"""Theirs take a second each."""
_INSTALLED = (
    ("torch==2.13.0",),
    ("--no-deps", "llmrouter-lib==0.4.*"),
    ("scikit-learn", "pandas", "torch-geometric", "pyyaml", "tqdm", "pydantic", "scipy", "pillow"),
    ("pyarrow",),  # with it pandas compares texts in a twentieth of the time, as its training does
)
_WARM_UP = 2


def make_environment(folder: Path) -> Path:
    """The Python of an environment with the library, made where there is none.

    Raises:
        BenchError: It cannot be made; what pip says went to the standard error.
    """
    python, done = folder / "bin" / "python", folder / "installed.json"
    if done.is_file() and json.loads(done.read_text(encoding="utf-8")) == [*map(list, _INSTALLED)]:
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for words in _INSTALLED:
            command = [str(python), "-m", "pip", "install", "--quiet", *words]
            subprocess.run(command, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"No environment for {NAME} could be made in {folder}: {error}") from None
    done.write_text(json.dumps(_INSTALLED), encoding="utf-8")
    return python


def export(router: gr.GraphRouter, prompts: Sequence[str], folder: Path) -> None:
    """Write what a router has seen, and prompts to ask, in the library's form.

    Args:
        router: Ours.
        prompts: To be routed.
        folder: Where.
    """
    import torch

    queries = dict(zip(router.support.query_ids, router.support.queries["prompt"], strict=True))
    place = {query: i for i, query in enumerate(queries)}
    rows = router.support.outcomes[["query_id", "model", "effect"]].dropna().itertuples(index=False)
    with (folder / "outcomes.jsonl").open("w", encoding="utf-8") as file:
        for query, model, effect in rows:
            told = {"query": queries[query], "embedding_id": place[query], "model_name": model}
            file.write(json.dumps({**told, "performance": effect}) + "\n")
    torch.save(torch.from_numpy(np.array(router.support.raw.prompts)), folder / "queries.pt")
    (folder / "prompts.json").write_text(json.dumps(list(prompts)), encoding="utf-8")
    np.save(folder / "prompts.npy", np.asarray(router.encoder.encode(prompts), dtype=np.float32))
    told = {"routing_data_train": "outcomes.jsonl", "query_embedding_data": "queries.pt"}
    cards = zip(router.models, router.support.raw.descriptions.tolist(), strict=True)
    shared = {
        "data_path": {name: str(folder / file) for name, file in told.items()},
        "llm_data": {model: {"embedding": vector} for model, vector in cards},
    }
    settings = {
        "knn": {"hparam": {"n_neighbors": 5}, "model_path": _place(folder / "knn.pkl")},
        # How long it was trained changes nothing of how long it takes.
        "graph": {
            "hparam": {"hidden_dim": 64, "train_epoch": 1, "batch_size": 1},
            "model_path": _place(folder / "graph.pt"),
        },
    }
    for name, own in settings.items():  # JSON is YAML
        (folder / f"{name}.yaml").write_text(json.dumps({**shared, **own}), encoding="utf-8")


def _place(path: Path) -> dict[str, str]:
    names = {"save_model_path": path, "load_model_path": path, "ini_model_path": path.parent / "no"}
    return {name: str(each) for name, each in names.items()}


@contextmanager
def start(python: Path, folder: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """A trained router of theirs in a process of its own.

    Raises:
        BenchError: It ends before it is trained.
    """
    command = [str(python), "-I", str(ROUTES), str(folder), kind]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        _read_line(process, kind)
        yield process
        if process.stdin:
            process.stdin.close()


def ask(process: subprocess.Popen[str], number: int, kind: str) -> Mapping[str, float]:
    """What their route of a prompt takes, in seconds of the processor, as it is and with its model
    kept in memory."""
    if process.stdin is None:
        raise BenchError(f"{NAME}'s {kind} router cannot be asked.")
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    found: Mapping[str, float] = json.loads(_read_line(process, kind))
    return found


def _read_line(process: subprocess.Popen[str], kind: str) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise BenchError(f"{NAME}'s {kind} router ended, with exit status {process.wait()}.")
    return line


def measure_beside(router: gr.GraphRouter, prompts: Sequence[str], python: Path) -> dict[str, Any]:
    """Our route of prompts of `NUM_CHARS` characters, beside those of both of their routers.

    Args:
        router: Ours, loaded.
        prompts: Some texts; repeated and cut to the length.
        python: From `make_environment`.
    """
    asked = list(dict.fromkeys(fill(prompt) for prompt in prompts))[:MOST_ROUTES]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    with TemporaryDirectory() as name, ExitStack() as stack:
        export(router, asked, folder := Path(name))
        running = {kind: stack.enter_context(start(python, folder, kind)) for kind in ROUTERS}
        for turn in range(-_WARM_UP, len(asked)):
            number = turn % len(asked)
            spent = [_route(router, asked[number]) for _ in range(3)][1:]
            found = {kind: ask(process, number, kind) for kind, process in running.items()}
            if turn < 0:
                continue
            ours += spent
            for kind, each in found.items():
                for how, seconds in each.items():
                    theirs.setdefault(name_yardstick(kind, how), []).append(seconds)
    return compare_routes(ours, theirs)


def fill(prompt: str) -> str:
    """A prompt as often as it takes, cut to `NUM_CHARS` characters.

    Example:
        >>> len(fill("How many?"))
        500
    """
    return (f"{prompt} " * (1 + NUM_CHARS // (len(prompt) + 1)))[:NUM_CHARS]


def name_yardstick(kind: str, how: str) -> str:
    """What a route of theirs is called."""
    return f"{NAME} {kind}" + (", its model kept" if how == "kept" else "")


def compare_routes(ours: Sequence[float], theirs: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """The measure: medians of ours and theirs, from seconds."""
    value = float(np.median(ours))
    medians = {name: float(np.median(seconds)) for name, seconds in theirs.items()}
    return {
        f"route of {NUM_CHARS} characters, ms": {
            "value": value * 1e3,
            "over": {name: value / median for name, median in medians.items()},
            "yardsticks_ms": {name: median * 1e3 for name, median in medians.items()},
        }
    }


def _route(router: gr.GraphRouter, prompt: str) -> float:
    start = time.process_time()
    list(router.route(prompt).evidence)
    return time.process_time() - start
