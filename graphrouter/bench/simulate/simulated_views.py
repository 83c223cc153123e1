"""Worlds in which what goes with a query decides who answers it, and worlds where it is noise.

They are worlds of `simulate` with one thing more, whose truth is known: documents that help,
mislead or have nothing to do with the question, and models that differ in how they use them; or an
embedding that tells what the prompt does not, as that of a picture would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from graphrouter.bench.simulate.simulated_pairs import CEILING, GUESS
from graphrouter.bench.simulate.simulation import simulate
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import ConfigError
from graphrouter.types import FloatArray

ViewKind = Literal["context", "embedding"]
_MOST_PLAIN, _PLAIN_SHARE, _MODEL_LIFT = 4.0, 0.25, 0.3
"""What is left of the differences that prompts and models make by themselves, in logits."""
CONTEXT_KINDS = ("helps", "misleads", "noise", "none")
_SHARES = (0.4, 0.25, 0.25, 0.1)
"""How often a context is of each of `CONTEXT_KINDS`."""
_MEAN_SHIFT = (1.5, -1.2, -0.3)
"""Logits that a context which helps, misleads or is noise adds to the average model."""
_SHIFT_SPREAD = (1.6, 1.6, 0.8)
"""Deviation of that from model to model."""
PICTURE_ENCODER = "picture"
_NUM_LATENT, _NUM_DIMENSIONS = 4, 48
_EASINESS, _AFFINITY = 0.8, 0.9
"""Logits a standard deviation of the latent quantities: of all models, and of each beyond that."""
_PICTURE_NOISE = 0.15
"""Deviation of each number of an embedding beside what it tells, of 1."""
_WORD = re.compile(r"[^\W\d_]{4,}")
_FILLERS = (
    "The archive was opened to visitors in spring.",
    "Further remarks stand in the appendix of the report.",
    "Readers are asked to send corrections to the editor.",
    "The committee met twice that year and kept short minutes.",
    "A list of abbreviations follows at the end of the volume.",
)


@dataclass(frozen=True, eq=False)
class ViewSimulation:
    """A world with views, and what only its maker knows. Rows as in `data.queries`."""

    data: RoutingDataset
    effect: FloatArray
    """(num_queries, num_models) probability of success, all that goes with a query counted."""
    blind: FloatArray
    """(num_queries, num_models) the same for somebody who does not see what goes with it: means
    over what could."""
    kind: tuple[str, ...]
    """(num_queries,) what a context does, of `CONTEXT_KINDS`; empty for embeddings."""


def simulate_views(
    kind: ViewKind,
    num_queries: int = 1600,
    num_models: int = 8,
    *,
    seed: int = 0,
    is_noise: bool = False,
) -> ViewSimulation:
    """A world in which contexts or embeddings tell who answers a query.

    Args:
        kind: What goes with the queries: documents, or the embedding of a picture.
        num_queries: How many.
        num_models: How many, at least 2.
        seed: Of the world.
        is_noise: Whether the same contexts or embeddings change nothing.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        >>> world = simulate_views("context", num_queries=50, num_models=3)
        >>> world.effect.shape, world.kind[0] in CONTEXT_KINDS
        ((50, 3), True)
    """
    if kind not in ("context", "embedding"):
        raise ConfigError(f"kind is {kind!r}; expected 'context' or 'embedding'.")
    world = simulate(num_queries, num_models, seed=seed)
    rng = np.random.default_rng([seed, 6])
    plain, queries = _level_out(world.truth.effect), world.data.queries
    kinds: tuple[str, ...] = ()
    if kind == "context":
        drawn = rng.choice(len(CONTEXT_KINDS), num_queries, p=_SHARES)
        kinds = tuple(CONTEXT_KINDS[i] for i in drawn)
        contexts = pd.Series(_write_contexts(queries["prompt"].tolist(), kinds, rng), dtype=object)
        added = queries.assign(context=contexts)
        shifts = np.zeros((len(CONTEXT_KINDS), num_models))
        for row, (mean, spread) in enumerate(zip(_MEAN_SHIFT, _SHIFT_SPREAD, strict=True)):
            shifts[row] = mean + spread * rng.standard_normal(num_models)
        shift, weights = shifts[drawn], np.array(_SHARES)
        possible = [np.broadcast_to(row, shift.shape) for row in shifts]
    else:
        latent = rng.standard_normal((num_queries, _NUM_LATENT))
        maps = rng.standard_normal((_NUM_LATENT, _NUM_DIMENSIONS)) / np.sqrt(_NUM_LATENT)
        noise = _PICTURE_NOISE * rng.standard_normal((num_queries, _NUM_DIMENSIONS))
        vectors = (latent @ maps + noise).astype(np.float32)
        added = queries.assign(embedding=list(vectors), embedding_encoder=PICTURE_ENCODER)
        slopes = _AFFINITY * rng.standard_normal((_NUM_LATENT, num_models))
        slopes += _EASINESS * rng.standard_normal((_NUM_LATENT, 1))
        shift = latent @ slopes
        others = rng.standard_normal((64, _NUM_LATENT)) @ slopes
        possible = [np.broadcast_to(row, shift.shape) for row in others]
        weights = np.full(len(possible), 1 / len(possible))
    if is_noise:
        effect = blind = plain
    else:
        effect = _shift(plain, shift)
        blind = sum(w * _shift(plain, row) for w, row in zip(weights, possible, strict=True))
    outcomes = _draw_again(world.data, effect, rng)
    data = RoutingDataset.from_frames(
        queries=added,
        models=world.data.models,
        outcomes=outcomes,
        tasks=world.data.tasks,
        name=f"simulated_{kind}{'_noise' if is_noise else ''}",
    )
    return ViewSimulation(data, effect, np.asarray(blind), kinds)


def _level_out(effect: FloatArray) -> FloatArray:
    """The effects of models that are about as good as one another, on queries about as hard.

    Who knows the prompt alone then knows little.
    """
    share = ((effect - GUESS) / (CEILING - GUESS)).clip(1e-9, 1 - 1e-9)
    logit = np.log(share / (1 - share)).clip(-_MOST_PLAIN, _MOST_PLAIN)
    logit = _PLAIN_SHARE * (logit - logit.mean(axis=0)) + _MODEL_LIFT
    levelled: FloatArray = GUESS + (CEILING - GUESS) / (1 + np.exp(-logit))
    return levelled


def _shift(effect: FloatArray, shift: FloatArray) -> FloatArray:
    """Probabilities of success after a shift in logits, between those of the worst and the best."""
    share = ((effect - GUESS) / (CEILING - GUESS)).clip(1e-9, 1 - 1e-9)
    moved: FloatArray = GUESS + (CEILING - GUESS) / (1 + np.exp(-shift) * (1 - share) / share)
    return moved


def _draw_again(data: RoutingDataset, effect: FloatArray, rng: np.random.Generator) -> pd.DataFrame:
    """The outcomes of the pairs that were run, their effects drawn anew."""
    chance = effect[data.pair_positions]
    return data.outcomes.assign(effect=(rng.random(len(chance)) < chance).astype(np.float64))


def _write_contexts(
    prompts: list[str], kinds: tuple[str, ...], rng: np.random.Generator
) -> list[list[str] | None]:
    """The documents of each query; None where there are none."""
    words = [list(dict.fromkeys(_WORD.findall(prompt))) or ["subject"] for prompt in prompts]
    contexts: list[list[str] | None] = []
    for row, kind in enumerate(kinds):
        if kind == "none":
            contexts.append(None)
            continue
        of = words[int(rng.integers(len(words)))] if kind == "noise" else words[row]
        telling = _write_document(of, kind, rng)
        more = [_FILLERS[i] for i in rng.permutation(len(_FILLERS))[: int(rng.integers(0, 3))]]
        documents = [telling, *more]
        contexts.append([documents[i] for i in rng.permutation(len(documents))])
    return contexts


def _write_document(words: list[str], kind: str, rng: np.random.Generator) -> str:
    """A few sentences on the words; those that mislead leave some out and contradict."""
    share = 0.6 if kind == "misleads" else 0.9
    told = [words[i] for i in rng.permutation(len(words))[: max(1, round(share * len(words)))]]
    halves = np.array_split(np.array(told, dtype=object), 2)
    year = int(rng.integers(1900, 2020))
    if kind == "misleads":
        return (
            f"It was said of {' '.join(halves[0])} in {year}, which is not the case. Nobody has "
            f"ever shown {' '.join(halves[1])}, and the claim of {year + 7} is wrong."
        )
    return (
        f"The record of {year} covers {' '.join(halves[0])}. It goes on to explain "
        f"{' '.join(halves[1])}, as the same record of {year} shows."
    )
