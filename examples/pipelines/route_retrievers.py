"""Route questions to retrievers: which one finds the passage, of BM25, trigrams and embeddings.

Needs the extra: pip install 'graphrouter[retrieval]'. The corpus, the notes of a repair shop, is
made here. Every retriever has questions that it is good at: words and part numbers are exact for
BM25, misspelt ones leave trigrams, and what is said in other words leaves embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import bm25s
import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.encoders import TextEncoder, create_encoder

PRODUCTS = (
    ("refrigerator", "icebox"), ("vacuum cleaner", "hoover"), ("laptop", "notebook computer"),
    ("television", "TV set"), ("bicycle", "pushbike"), ("kettle", "water boiler"),
    ("lawn mower", "grass cutter"), ("dishwasher", "machine for the dishes"),
    ("smartphone", "mobile"), ("car", "automobile"), ("oven", "cooker"), ("camera", "photo gear"),
    ("headphones", "earpieces"), ("printer", "device that puts pages on paper"),
    ("thermostat", "temperature control"), ("sofa", "couch"), ("watch", "timepiece"),
    ("drill", "tool for boring holes"), ("guitar", "six-string"), ("boat", "small vessel"),
)  # fmt: skip
"""As the notes call them, and as others do."""
FAULTS = (
    ("does not start", "stays dead when I switch it on", "there is no sign of life"),
    ("makes a loud noise", "rattles and hums terribly", "the racket wakes the neighbours"),
    ("becomes too hot", "gets burning warm", "I nearly scorched my fingers on it"),
    ("leaks water", "drips on the floor", "leaves a puddle underneath"),
    ("smells of smoke", "has a burnt odour", "it stinks as if on fire"),
    ("loses charge overnight", "is empty every morning", "power never lasts"),
    ("has a cracked surface", "shows a broken skin", "a split runs across the outside"),
    ("vibrates heavily", "shakes like mad", "wobbles when in use"),
    ("is covered in rust", "has turned brown from corrosion", "the metal flakes orange"),
    ("reacts slowly", "takes forever to respond", "lags behind everything I do"),
    ("has a broken handle", "came apart where one holds it", "the grip snapped off"),
    ("shows a wrong reading", "displays false values", "the figures cannot be right"),
)
"""As the notes word them, and twice in other words."""
REMEDIES = (
    "replace the seal", "tighten the screws", "clean the filter", "renew the fuse",
    "update the firmware", "order a spare part", "oil the bearing", "recalibrate the sensor",
)  # fmt: skip
CHATTER = (
    "Good morning, I hope that you can help me before my holiday starts on Monday.",
    "My neighbour tells me that your shop was recommended by the whole street.",
    "Sorry for the long message, my daughter normally writes these things for me.",
    "We bought it together with a lamp and a carpet, and those are still perfect.",
    "I have been a customer since before the station was rebuilt, as you may remember.",
    "Last time somebody very friendly answered, and everything was settled within the hour.",
    "The weather has been dreadful, so I would rather not carry it all the way to town.",
    "There was a slip of paper inside the box when it came back from the workshop.",
)
KINDS = ("number", "words", "chatter", "typos", "other words", "wrong number")
"""What a question gives away. Nobody tells the router."""


class Corpus(NamedTuple):
    """Passages, and questions that one of them answers."""

    passages: list[str]
    questions: pd.DataFrame
    """query_id, prompt, passage (its row), kind, split; no passage is on two sides of the split."""


def make_corpus(seed: int, num_questions: int = 700) -> Corpus:
    """Notes on every fault of every product, and questions about them."""
    rng = np.random.default_rng(seed)
    notes, numbers = [], []
    for product, _ in PRODUCTS:
        letters = "".join(rng.choice(list("BCDFGHKLMNPRSTVWXZ"), 3))
        series = rng.choice(range(1000, 10000, 100)) + rng.permutation(100)
        for (fault, *_), tail in zip(FAULTS, series, strict=False):
            number = f"{letters}-{tail}"  # of one product they look alike
            remedy = rng.choice(REMEDIES)
            notes.append(f"Note {number}. If the {product} {fault}, {remedy} and test it again.")
            numbers.append(number)
    side = rng.choice(["train", "validation", "test"], len(notes), p=[0.5, 0.15, 0.35])
    rows = []
    for number in range(num_questions):
        passage, kind = int(rng.integers(len(notes))), str(rng.choice(KINDS))
        product, fault = PRODUCTS[passage // len(FAULTS)], FAULTS[passage % len(FAULTS)]
        asked = {
            "number": f"What does {numbers[passage]} say?",
            "words": f"What to do when the {product[0]} {fault[0]}?",
            "chatter": " ".join([*rng.permutation(CHATTER)[:3], f"It says {numbers[passage]}."]),
            "typos": f"What to do when the {misspell(f'{product[0]} {fault[0]}', rng)}?",
            "other words": f"My {product[1]}: {fault[int(rng.integers(1, 3))]}. Any advice?",
            "wrong number": f"What does {misspell(numbers[passage], rng)} say?",
        }[kind]
        rows.append((f"q{number}", asked, passage, kind, side[passage]))
    questions = pd.DataFrame(rows, columns=["query_id", "prompt", "passage", "kind", "split"])
    # One question may be drawn twice; it is kept once.
    return Corpus(notes, questions.drop_duplicates("prompt").reset_index(drop=True))


def misspell(text: str, rng: np.random.Generator) -> str:
    """The text with two neighbours swapped, or a letter left out, in every word of four letters."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) < 4:
            continue
        at = int(rng.integers(1, len(word) - 2))
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[place] = swapped if rng.random() < 0.6 else word[:at] + word[at + 1 :]
    return " ".join(words)


Rank = Callable[[Sequence[str]], np.ndarray]
"""From questions to the rank of every passage, (num_questions, num_passages), 1 = first."""


def rank_scores(scores: np.ndarray) -> np.ndarray:
    """Ranks of scores, the highest first; of equals the earlier, so that ties are no luck."""
    order = np.argsort(-np.round(scores, 6), axis=1, kind="stable")
    return np.argsort(order, axis=1) + 1


def index_bm25(passages: Sequence[str], split: Callable[[str], list[str]]) -> Rank:
    """BM25 over whatever a text is split into."""
    index = bm25s.BM25()
    index.index([split(passage) for passage in passages], show_progress=False)

    def rank(questions: Sequence[str]) -> np.ndarray:
        known = [[t for t in split(q) if t in index.vocab_dict] for q in questions]
        blank = np.zeros(len(passages))
        return rank_scores(
            np.stack([index.get_scores(tokens) if tokens else blank for tokens in known])
        )

    return rank


def split_words(text: str) -> list[str]:
    """Words in lower case, without marks."""
    return [word.strip(".,?:") for word in text.lower().split()]


def split_trigrams(text: str) -> list[str]:
    """All three letters in a row of every word, with its edges."""
    padded = [f" {word} " for word in split_words(text)]
    return [word[i : i + 3] for word in padded for i in range(len(word) - 2)]


def index_vectors(passages: Sequence[str], encoder: TextEncoder) -> Rank:
    """Cosine of text embeddings."""

    def embed(texts: Sequence[str]) -> np.ndarray:
        vectors = encoder.encode(texts)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    stored = embed(passages)
    return lambda questions: rank_scores(embed(questions) @ stored.T)


def make_retrievers(
    passages: Sequence[str], more: dict[str, TextEncoder] | None = None
) -> dict[str, Rank]:
    """The retrievers by name; `more` are text encoders to search with besides the static one."""
    found = {
        "bm25": index_bm25(passages, split_words),
        "bm25-trigrams": index_bm25(passages, split_trigrams),
        "static": index_vectors(passages, create_encoder(gr.TrainConfig().encoder)),
    }
    return found | {name: index_vectors(passages, each) for name, each in (more or {}).items()}


def make_dataset(
    corpus: Corpus, retrievers: dict[str, Rank]
) -> tuple[gr.RoutingDataset, pd.DataFrame]:
    """Graded questions, effect = 1 / rank of the passage; and the ranks beside that of RRF.

    Reciprocal rank fusion (Cormack et al., 2009) asks all retrievers and adds 1 / (60 + rank).
    """
    asked, rows = corpus.questions, np.arange(len(corpus.questions))
    ranks = {name: rank(asked["prompt"].tolist()) for name, rank in retrievers.items()}
    fused = rank_scores(np.sum([1 / (60 + each) for each in ranks.values()], axis=0))
    wanted = asked["passage"].to_numpy()
    of_passage = pd.DataFrame({name: each[rows, wanted] for name, each in ranks.items()})
    of_passage["rrf"] = fused[rows, wanted]
    of_passage.index = pd.Index(asked["query_id"])
    cards = [{"model": name, "kind": "retriever"} for name in retrievers]
    outcomes = of_passage[list(retrievers)].stack().rename("rank").reset_index()
    outcomes.columns = pd.Index(["query_id", "model", "rank"])
    # What a retriever answers is the passage that it puts first; `smoothie` compares these.
    first = np.stack([each.argmin(axis=1) for each in ranks.values()], axis=1).ravel()
    outcomes["answer"] = [corpus.passages[place] for place in first]
    data = gr.RoutingDataset.from_frames(
        queries=asked[["query_id", "prompt", "split"]].assign(task=None),
        models=pd.DataFrame(cards),
        outcomes=outcomes.assign(effect=1 / outcomes["rank"]),
        name="retrievers",
    )
    return data, of_passage


def main() -> None:
    """Route the held-out questions, and compare with every retriever and with their fusion."""
    corpus = make_corpus(seed=0, num_questions=500)
    data, ranks = make_dataset(corpus, make_retrievers(corpus.passages))
    router = gr.GraphRouter.fit(data, instant=True)
    test = corpus.questions[corpus.questions["split"] == "test"]
    policy = gr.Policy.preset("performance_first")
    chosen = [router.route(prompt, policy=policy).model for prompt in test["prompt"]]
    held = ranks.loc[test["query_id"]]
    held["routed"] = [held.loc[query, name] for query, name in zip(held.index, chosen, strict=True)]
    print(f"{len(corpus.passages)} passages, {len(test)} held-out questions")
    for name in held:
        found = held[name]
        print(f"{name:14} MRR {(1 / found).mean():.3f}   recall@3 {(found <= 3).mean():.3f}")


if __name__ == "__main__":
    main()
