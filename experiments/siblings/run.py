"""What a new setting of a model that is in the pool gains by naming its base.

Usage:
    python -m experiments.siblings.run ../shared/data/bfcl_v1 > experiments/siblings/README.md

In each of five splits half of the models with several settings lose one of them, drawn by the seed;
an instant router is fitted without these and places them afterwards. Their cards state their name
alone; name, base and parameters; everything but these; or all. Two worlds: simulated models in
three settings of reasoning effort, and the modes of bfcl_v1, prompting and function calling, which
have no effort that could be ordered.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.data import RoutingDataset

NUM_SPLITS = 5
SHOTS = (0, 5, 20)
CARDS = {
    "name": ("model",),
    "name and base": ("model", "base", "parameters"),
    "all but base": None,
    "all": None,
}
_MODE = re.compile(r"-FC(-Any|-Auto)?$")
_PARTS = ("base", "parameters")


def simulate() -> RoutingDataset:
    """Ten models in three settings each."""
    return gr.simulate(1500, 10, seed=3, num_efforts=3).data


def read_modes(folder: str) -> RoutingDataset:
    """The dataset with the base of each mode."""
    data = gr.load_dataset(folder)
    names = data.models["model"]
    bare = names.str.replace(_MODE, "", regex=True)
    shared = bare.duplicated(keep=False)
    models = data.models.assign(
        base=bare.where(shared), parameters=[_name_mode(name) for name in names]
    )
    return RoutingDataset.from_frames(
        queries=data.queries,
        models=models.drop(columns="family"),
        outcomes=data.outcomes,
        tasks=data.tasks,
        name=data.name,
    )


def _name_mode(name: str) -> str | None:
    found = _MODE.search(name)
    return None if found is None else f'{{"mode": "{found[0][1:]}"}}'


def place(data: RoutingDataset, seed: int) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Figures of the settings left out, by what their cards state and by the outcomes given."""
    rng = np.random.default_rng(seed)
    groups = data.models.dropna(subset="base").groupby("base")["model"].apply(list)
    chosen = rng.choice(len(groups), len(groups) // 2, replace=False)
    held = [str(rng.choice(groups.iloc[i])) for i in sorted(chosen)]
    is_held = data.outcomes["model"].isin(held)
    for label, fields in CARDS.items():
        dropped = [name for name in _PARTS if label in ("name", "all but base")]
        stated = data.models.drop(columns=dropped).set_index("model", drop=False)
        router = gr.GraphRouter.fit(
            RoutingDataset.from_frames(
                queries=data.queries,
                models=stated.drop(index=held).reset_index(drop=True),
                outcomes=data.outcomes[~is_held],
                tasks=data.tasks,
            ),
            gr.load_config(overrides=[f"split.seed={seed}"]),
            instant=True,
        )
        cards = [
            gr.ModelCard(**stated.loc[name, list(fields or stated.columns)].dropna().to_dict())
            for name in held
        ]
        train, test = router.provenance.split.train, list(router.provenance.split.test)
        for shots in SHOTS:
            draw = np.random.default_rng([seed, shots])
            given = [
                data.outcomes[
                    (data.outcomes["model"] == name)
                    & data.outcomes["query_id"].isin(draw.choice(train, shots, replace=False))
                ]
                for name in held
            ]
            placed = router.add_models(cards, outcomes=pd.concat(given) if shots else None)
            yield label, shots, measure(data, placed, held, test)


def measure(
    data: RoutingDataset, router: gr.GraphRouter, held: list[str], test: list[str]
) -> dict[str, float]:
    """Log loss of the effect, and mean error of the logarithms of dollars and seconds."""
    queries = data.queries.set_index("query_id").loc[test]
    predicted = router.predict(queries["prompt"].tolist(), tasks=queries["task"].tolist())
    columns = [router.models.index(name) for name in held]
    wide = data.outcomes[data.outcomes["model"].isin(held)].pivot(index="query_id", columns="model")
    chance = np.clip(predicted.effect[:, columns], 1e-4, 1 - 1e-4)
    effect = wide["effect"].reindex(index=test, columns=held).to_numpy()
    figures = {"log loss": -np.nanmean(effect * np.log(chance) + (1 - effect) * np.log1p(-chance))}
    for name in ("cost_usd", "latency_s"):
        paid = wide[name].reindex(index=test, columns=held).to_numpy()
        known = np.isfinite(paid) & (paid > 0)
        expected = getattr(predicted, name)[:, columns][known]
        figures[name] = float(np.mean(np.abs(np.log(expected) - np.log(paid[known]))))
    return figures


def report(data: RoutingDataset) -> Iterator[str]:
    """A table in Markdown: means over the splits, and how far a split's difference goes."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for seed in range(NUM_SPLITS):
        for label, shots, figures in place(data, seed):
            found.setdefault((label, shots), []).append(figures)
    yield f"\n## {data.name}\n"
    yield "| card | outcomes | log loss | error of ln dollars | error of ln seconds |"
    yield "|---|---|---|---|---|"
    for shots in SHOTS:
        for label in CARDS:
            runs = found[label, shots]
            cells = [
                "unknown" if np.isnan(each).any() else f"{np.mean(each):.4f}"
                for each in ([run[name] for run in runs] for name in runs[0])
            ]
            yield f"| {label} | {shots} | " + " | ".join(cells) + " |"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("modes", help="The dataset bfcl_v1.")
    asked = parser.parse_args()
    print("# Settings of one model\n")
    print(str(__doc__).split("Usage:")[0].strip())
    print(str(__doc__).split("README.md\n")[1].rstrip())
    for data in (simulate(), read_modes(asked.modes)):
        print("\n".join(report(data)), flush=True)


if __name__ == "__main__":
    main()
