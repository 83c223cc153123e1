"""Are prompts matched to named routes, and is "none of these" told? Tasks of real sets as routes.

    python experiments/routes/run.py DATA [--seeds 10,11,12] [--out results.json]

DATA holds sets as folders. Of each set some tasks are routes, with k of their prompts as examples.
Its other tasks are "none" (near), and so are prompts of other sets (far) and texts that are no
prompts of any kind (odd). The solved queries of the router are prompts of the same set, those of
all its tasks (own), or those of another set (other).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphrouter.config import EncoderConfig
from graphrouter.data import load_dataset
from graphrouter.encoders import create_encoder, encode_texts
from graphrouter.features.prompts import PromptTransform
from graphrouter.features.surface import read_surface
from graphrouter.routes import RouteMatcher, Routes, RouteSpace

SETS = ("bfcl_v1", "helm_mmlu", "llmrouter_default", "mmlu_pro", "reasoning_gym", "zeroeval")
NUM_ROUTES = 5
NUM_SOLVED = 1500
NUM_TEST = 30
ODD = (
    "Hello", "hi there", "test", "xq zz 99 qq", "asdf jkl", "ok thanks", "?", "lol", "2024-01-01",
    "...", "What's up?", "Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "Bonjour",
    "请问明天天气怎么样", "ERROR 0x80070057 at line 12", "Play some jazz", "Where are you from?",
    "I love you", "stop", "🙂🙂",
)  # fmt: skip


class Known:
    """An encoder that has seen all texts of the sets already."""

    def __init__(self) -> None:
        self.inner = create_encoder(EncoderConfig())
        self.id, self.revision = self.inner.id, self.inner.revision
        self.dimension = self.inner.dimension
        self.seen: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self.seen]
        self.seen.update(zip(new, encode_texts(self.inner, new), strict=True))
        return np.array([self.seen[text] for text in texts], dtype=np.float32).reshape(
            len(texts), self.dimension
        )


class Set:
    def __init__(self, folder: Path) -> None:
        data = load_dataset(folder)
        self.prompts = np.array(data.queries["prompt"].tolist(), dtype=object)
        self.names = data.tasks["task"].tolist()
        self.described = data.tasks["description"].tolist()
        self.task = np.array([self.names.index(name) for name in data.queries["task"]])


def draw(own: Set, solved: Set, far: np.ndarray, k: int, rng: np.random.Generator) -> dict:
    """Routes, prompts to match with what is true, and the rows that the router has solved."""
    tasks = rng.permutation(len(own.names))
    routes = tasks[: max(2, min(NUM_ROUTES, len(tasks) // 2))]
    examples, test, truth = [], [], []
    for number, task in enumerate(routes):
        rows = rng.permutation(np.flatnonzero(own.task == task))
        half = len(rows) // 2
        examples.append(rows[: min(k, half)])
        test += rows[half : half + NUM_TEST].tolist()
        truth += [number] * len(rows[half : half + NUM_TEST])
    near = rng.permutation(np.flatnonzero(~np.isin(own.task, routes)))[: len(test)]
    taken = np.concatenate([*examples, test, near]).astype(int)
    rows = np.arange(len(solved.task))
    rows = rng.permutation(np.setdiff1d(rows, taken) if solved is own else rows)[:NUM_SOLVED]
    pairs = zip(routes, examples, strict=True)
    return {
        "routes": [(own.described[t], own.prompts[e]) for t, e in pairs],
        "test": own.prompts[test], "truth": np.array(truth), "near": own.prompts[near],
        "far": rng.permutation(far)[: len(test)], "rows": rows,
    }  # fmt: skip


def make_space(encoder: Known, solved: Set, rows: np.ndarray) -> RouteSpace:
    texts = solved.prompts[rows].tolist()
    embeddings, surface = encoder.encode(texts), read_surface(texts)
    transform = PromptTransform.fit(embeddings, surface)
    described = encoder.encode(solved.described)
    return RouteSpace(
        encoder, transform, embeddings, surface, solved.task[rows], tuple(solved.names), described
    )


def judge(drawn: dict, matcher: RouteMatcher) -> dict[str, float]:
    """Accuracy with as many prompts of none (near) as of routes, false matches, and how sure."""
    names = matcher.routes.names
    found = {
        kind: matcher.match(texts, [None] * len(texts))
        for kind, texts in {**{n: drawn[n] for n in ("test", "near", "far")}, "odd": ODD}.items()
    }
    right = [m.route == names[t] for m, t in zip(found["test"], drawn["truth"], strict=True)]
    best = [
        max(m.probabilities, key=m.probabilities.get) == names[t]
        for m, t in zip(found["test"], drawn["truth"], strict=True)
    ]
    is_none = [m.route is None for m in found["near"]]
    sure = np.array([m.confidence for m in found["test"] + found["near"]])
    hit = np.array(right + is_none)
    of_true = [
        m.probabilities[names[t]] for m, t in zip(found["test"], drawn["truth"], strict=True)
    ]
    of_true += [m.none for m in found["near"]]
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs((hit - sure)[bins == b].sum()) for b in range(10)]
    false = {
        f"false_{n}": np.mean([m.route is not None for m in found[n]])
        for n in ("near", "far", "odd")
    }
    return {
        "accuracy": hit.mean(), "of_routes": np.mean(best), "sent": np.mean(right), **false,
        "nll": -np.log(np.maximum(of_true, 1e-9)).mean(), "ece": sum(gaps) / len(sure),
    }  # fmt: skip


def judge_cosine(drawn: dict, encoder: Known, *, nearest_example: bool) -> dict[str, float]:
    """Cosine with the description, or with the nearest example too; the best threshold there is."""
    near = encoder.encode(list(drawn["near"]))
    test = encoder.encode(list(drawn["test"]))
    scores = []
    for x in (test, near):
        columns = []
        for described, examples in drawn["routes"]:
            texts = [described, *(examples if nearest_example else [])]
            columns.append((x @ encoder.encode(texts).T).max(axis=1))
        scores.append(np.array(columns).T)
    first = scores[0].argmax(axis=1) == drawn["truth"]
    height = np.concatenate([scores[0].max(axis=1), scores[1].max(axis=1)])
    gain = np.concatenate([first.astype(float), -np.ones(len(near))])
    order = np.argsort(-height)
    best = np.maximum(np.cumsum(gain[order]), 0).max()
    return {"accuracy": (best + len(near)) / len(height), "of_routes": first.mean()}


def study(folder: Path, targets: Sequence[str], seeds: list[int], counts: list[int]) -> dict:
    encoder = Known()
    sets = {name: Set(folder / name) for name in dict.fromkeys((*SETS, *targets))}
    found = defaultdict(list)
    for name in targets:
        i = SETS.index(name) if name in SETS else 0
        far = np.concatenate([s.prompts[:300] for other, s in sets.items() if other != name])
        for seed in seeds:
            for k in counts:
                for kind in ("own", "other"):
                    shift = 1 + seed % (len(SETS) - 1)
                    other = sets[SETS[(i + shift) % len(SETS)]]
                    solved = sets[name] if kind == "own" else other
                    drawn = draw(sets[name], solved, far, k, np.random.default_rng([seed, k]))
                    space = make_space(encoder, solved, drawn["rows"])
                    routes = Routes([
                        {"name": str(n), "description": words, "model": "any",
                         "examples": list(dict.fromkeys(texts))}
                        for n, (words, texts) in enumerate(drawn["routes"])
                    ])  # fmt: skip
                    figures = judge(drawn, RouteMatcher(routes, space))
                    found[f"{kind} {k}"].append((name, figures))
                    if kind == "own":
                        for label, example in (("description", False), ("example", True)):
                            cosine = judge_cosine(drawn, encoder, nearest_example=example)
                            found[f"cosine {label} {k}"].append((name, cosine))
    return found


def show(found: dict) -> dict:
    """Means over sets, and their accuracies, a line each."""
    told = {}
    for label, rows in found.items():
        keys = list(rows[0][1])
        names = list(dict.fromkeys(name for name, _ in rows))
        by_set = {n: [f for name, f in rows if name == n] for n in names}
        mean = {
            key: float(np.mean([np.mean([f[key] for f in by_set[n]]) for n in names]))
            for key in keys
        }
        each = {n: float(np.mean([f["accuracy"] for f in by_set[n]])) for n in names}
        told[label] = {**mean, "accuracy_by_set": each}
        line = " ".join(f"{key} {value:.3f}" for key, value in mean.items())
        print(f"{label:22} {line} | {' '.join(f'{value:.2f}' for value in each.values())}")
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", default="10,11,12")
    parser.add_argument("--counts", default="0,3,10,30")
    parser.add_argument("--only", help="one set in place of the six, perhaps none of them")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    numbers = [[int(word) for word in text.split(",")] for text in (given.seeds, given.counts)]
    figures = show(study(given.data, (given.only,) if given.only else SETS, *numbers))
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
