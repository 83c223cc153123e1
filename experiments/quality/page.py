"""The page of this folder: how to compare variants, and how much can be predicted at all.

Usage:
    python -m experiments.quality.page > experiments/quality/README.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.quality.differences import dataset_tables, head, summary_table
from experiments.quality.limit import CHOOSERS, MEASURES, NUM_DIVISIONS
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.results import Evaluation

RESULTS = Path(__file__).parent / "results"
INTRODUCTION = """# Better settings, and how good anyone can get

## Variants compared

A variant is a line of a YAML file: a name and the settings that it changes.

    graphrouter: {}
    wide: {network.width: 64}
    no_doubt: {network.leave_out: [doubt]}

Every variant is trained on the same splits and compared with the one called `graphrouter` (the
defaults, unless the file says otherwise): log loss, area and rewards with paired 95 % bootstrap
intervals, task known and hidden.

    python -m experiments.quality.run experiments/quality/variants/parts.yaml \\
        DATA/zeroeval DATA/bfcl_v1 --seeds 3 --jobs 2 --out RUN --development

With `--development` test rows are drawn from the training and validation rows of the benchmark
split with the same seed: whatever is chosen there has never looked at a test row of the
benchmark. Without it the splits are those of `graphrouter benchmark`, and cells that a benchmark
has left in RUN are taken from there. `--baselines knn,avengers_pro` shows baselines beside the
variants, `--config FILE` names settings that all variants start from. Interrupted or extended, a
run goes on where it was; what failed is tried again. Cells do not know of changes in the code:
take a new RUN after one. What was found stands in [LOG.md](../LOG.md); what each part of the
network buys: [ablations](../ablations/README.md)."""
SIZE = """
## Width, heads and rounds

`variants/size.yaml` halves and doubles the width of the node states, takes fewer and more kernels
of the path attention, and fewer and more Newton rounds of the Rasch base. Differences from
graphrouter as it is (width 32, 4 kernels, 4 rounds) on development splits, with 95 % paired
bootstrap intervals over test queries, and a star where they exclude zero; of twenty differences
that are nothing, one has a star by chance. Splits:
{datasets}.

    python -m experiments.quality.run experiments/quality/variants/size.yaml \\
        {folders} \\
        --seeds 2 --jobs 1 --out RUN --development
    python experiments/take.py RUN/*-development.json experiments/quality/results/size
    python -m experiments.quality.page > experiments/quality/README.md
"""
LIMIT = """
## How much can be predicted

An outcome is written as level (of the model in the task) + ease (of the query, for everyone) +
deviation. Only the deviation tells one model from another on a single query; whatever `task_mean`
does not know, and the luck of a single answer, lies there. Shares of the variance of test
outcomes; levels are fitted on training rows; mean of {seeds} split{plural}:
"""
SHARES = """
Of the deviation's variance, how much is predicted? By graphrouter from the prompt, and, for
comparison, from the outcomes of the other models on the very same query, which nobody has before
routing: each pair of models from all models but the families of the two, by the linear-Gaussian
rule of a covariance matrix of all models (`deviations.py`), fitted on training rows and shrunk on
validation rows. It stands for the best description of the query that models share. What it leaves
unexplained is the taste of single models and the luck of single answers. It is no strict bound:
other models' outcomes are themselves half luck, and a linear rule may miss something; they also
tell what no prompt does, such as a wrong key. With the task hidden, levels have to be guessed
too, so the share can be below zero.
"""
CHOICES = """
What that is worth: choices among a random half of the pool (whole families; {halves} halves a
split). `best_single` and `graphrouter` know what they always know, `given_others` is told the
outcomes of the other half of the pool on the same query (its costs are graphrouter's), the oracle
the outcomes that it is judged by. In brackets the share of the way from best_single to the
oracle.
"""
COMMANDS = """
Made by

    python -m experiments.quality.limit DATA/bfcl_v1 DATA/llmrouter_default DATA/mmlu_pro \\
        DATA/routerbench_subset DATA/zeroeval \\
        --seeds {seeds} --out RUN
    python experiments/take.py RUN/limit.json experiments/quality/results
    python -m experiments.quality.page > experiments/quality/README.md"""


def page() -> Iterator[str]:
    """The lines of the page."""
    yield INTRODUCTION
    files = sorted((RESULTS / "size").glob("*.json"))
    if files:
        yield from size_lines(
            [Evaluation.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]
        )
    file = RESULTS / "limit.json"
    if file.is_file():
        plain = json.loads(file.read_text(encoding="utf-8"))
        yield from limit_lines(plain["datasets"], num_seeds=plain["seeds"])


def size_lines(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    """The section on the size of the network, from the evaluations of its variants."""
    splits = [f"{len(found.seeds)} of {found.dataset}" for found in evaluations]
    folders = " ".join(f"DATA/{found.dataset}" for found in evaluations)
    yield SIZE.format(datasets=" and ".join(splits), folders=folders)
    yield "All datasets and settings together:\n"
    yield from summary_table(evaluations)
    for found in evaluations:
        yield from dataset_tables(found, heading="\n{what}:\n")


def limit_lines(
    datasets: Mapping[str, Mapping[str, float | None]], *, num_seeds: int
) -> Iterator[str]:
    """The section on the limit, from the figures of each dataset as `limit.json` holds them."""
    yield LIMIT.format(seeds=num_seeds, plural="s" if num_seeds != 1 else "")
    yield from _shares(
        datasets, {"level": "level", "ease": "ease of the query", "deviation": "deviation"}
    )
    yield SHARES
    titles = {
        "task_known": "graphrouter, task known",
        "task_hidden": "graphrouter, task hidden",
        "given_others": "given the other models' outcomes",
    }
    yield from _shares(datasets, titles)
    yield CHOICES.format(halves=2 * NUM_DIVISIONS)
    for measure in MEASURES:
        known = {
            name: found
            for name, found in datasets.items()
            if found.get(f"oracle.{measure}") is not None
        }
        yield from head(METRICS[measure].title, *CHOOSERS)
        for name, found in known.items():
            yield (
                f"| {name} | "
                f"{' | '.join(_chosen(found, chooser, measure) for chooser in CHOOSERS)} |"
            )
        yield ""
    yield COMMANDS.format(seeds=num_seeds).strip()


def _shares(
    datasets: Mapping[str, Mapping[str, float | None]], titles: Mapping[str, str]
) -> Iterator[str]:
    yield from head("dataset", *titles.values())
    for name, found in datasets.items():
        cells = [
            f"{100 * value:.1f} %" if (value := found.get(key)) is not None else "-"
            for key in titles
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def _chosen(found: Mapping[str, float | None], chooser: str, measure: str) -> str:
    value, low, high = (found[f"{name}.{measure}"] for name in (chooser, "best_single", "oracle"))
    if value is None or low is None or high is None:
        return "-"
    is_between = chooser not in ("best_single", "oracle") and high > low
    return f"{value:.4f}" + (f" ({(value - low) / (high - low):.0%})" if is_between else "")


if __name__ == "__main__":
    print("\n".join(page()))
