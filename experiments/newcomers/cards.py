"""What a poor or a false card does to a newcomer.

Its log loss after k outcomes, for four ways to write its card.

Usage:
    python experiments/newcomers/cards.py DATA [DATA ...] --seeds 2 --out RUN

One router a split is trained without the newcomers (30 % of the models, whole families) and kept in
RUN. The newcomers then join with their card as it is; without its description; with nothing but
their name; or all with the same boast. A fifth way leaves out the descriptions of 20 % of all
models, known or new. Writes RUN/cards.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import graphrouter as gr
from graphrouter.bench.evaluation.newcomers.shots import shuffle
from graphrouter.bench.observations import Observations
from graphrouter.data.splits import hold_out_models, split_dataset
from graphrouter.pool import ModelCard
from graphrouter.training.effect_scores import log_loss

SHOTS = (0, 5, 10, 20, 50, 100)
BOAST = (
    "The best model in the world: flagship of 2 trillion parameters, 2M context, released in "
    "December 2026."
)


def as_it_is(card: ModelCard) -> ModelCard:
    """The card itself."""
    return card


def without_description(card: ModelCard) -> ModelCard:
    """Name and numbers alone."""
    return card.model_copy(update={"description": None})


def blank(card: ModelCard) -> ModelCard:
    """No description and no prices; the name may still state a size or a date."""
    return ModelCard(model=card.model)


def boasting(card: ModelCard) -> ModelCard:
    """A false description; the prices stay."""
    return card.model_copy(update={"description": BOAST})


CARDS: Mapping[str, Callable[[ModelCard], ModelCard]] = {
    "as it is": as_it_is,
    "no description": without_description,
    "name alone": blank,
    "boast": boasting,
}
FIFTH = "20 % of all descriptions missing"


def run(place: str, seed: int, folder: Path) -> dict[str, dict[str, float]]:
    """Log loss on the newcomers by card and number of outcomes."""
    data = gr.load_dataset(place)
    held_out = hold_out_models(data, 0.3, seed=seed)
    config = gr.load_config(overrides=[f"seed={seed}", f"split.seed={seed}"])
    split = replace(split_dataset(data, config.split), held_out_models=held_out)
    artifact = folder / f"{data.name}-{seed}"
    if not artifact.is_dir():
        gr.GraphRouter.fit(data, config, split=split, progress=True).save(artifact)
    router = gr.GraphRouter.load(artifact)
    missing = shuffle(list(data.pool.names), seed=seed)[: round(0.2 * len(data.pool))]
    poorer = router
    for model in missing:
        if model in router.models:
            poorer = poorer.update_card(without_description(router.pool[model]))
    seen = Observations.of(data, split.test)
    outcomes = data.outcomes[
        data.outcomes["model"].isin(held_out) & data.outcomes["query_id"].isin(split.train)
    ]
    rank = {query: i for i, query in enumerate(shuffle(list(split.train), seed=seed))}
    outcomes = outcomes.sort_values("query_id", key=lambda ids: ids.map(rank), kind="stable").drop(
        columns="answer", errors="ignore"
    )
    position = outcomes.groupby("model").cumcount()

    def loss(start: gr.GraphRouter, cards: Sequence[ModelCard], shot: int) -> float:
        shown = outcomes[position < shot]
        joined = start.add_models(cards, outcomes=None if shown.empty else shown)
        columns = [joined.models.index(model) for model in held_out]
        effect = joined.predict(seen.prompts, tasks=seen.tasks).effect[:, columns]
        truth = seen.outcomes.effect[:, [seen.pool.names.index(model) for model in held_out]]
        return log_loss(effect, truth)

    honest = [data.pool[model] for model in held_out]
    found = {
        name: {str(k): loss(router, [rewrite(card) for card in honest], k) for k in SHOTS}
        for name, rewrite in CARDS.items()
    }
    some = [without_description(card) if card.model in missing else card for card in honest]
    return {**found, FIFTH: {str(k): loss(poorer, some, k) for k in SHOTS}}


def main() -> None:
    """Runs all datasets and seeds, and writes the means over seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="folders of datasets")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for place in arguments.data:
        runs = [run(place, seed, arguments.out) for seed in range(arguments.seeds)]
        results[Path(place).name] = {
            card: {k: float(np.mean([one[card][k] for one in runs])) for k in by_shot}
            for card, by_shot in runs[0].items()
        }
    text = json.dumps({"seeds": arguments.seeds, "log_loss": results}, indent=1)
    (arguments.out / "cards.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
