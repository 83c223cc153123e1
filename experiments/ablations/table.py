"""The committed results of the studies as Markdown, or as one HTML page with bars and curves.

Usage:
    python -m experiments.ablations.table > experiments/ablations/README.md
    python -m experiments.ablations.table --html ablations.html [--results FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.ablations.page import render_ablations
from experiments.ablations.results import RESULTS, Ablations, load_results
from experiments.quality.differences import SETTINGS, SHOWN, difference, head, show, title_of
from graphrouter.bench.evaluation.benchmark import MAIN
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.conclusion import find_cascades, find_mark
from graphrouter.bench.evaluation.metric_catalogue import METRICS
from graphrouter.bench.evaluation.results import Evaluation, SettingName
from graphrouter.bench.evaluation.router_output import ORACLE

TITLES = {
    "parts": "Parts of the network",
    "data": "Nodes, edges and what they know",
    "encoder": "Text encoder",
    "support": "Support and neighbours",
}
ON_CURVES = ("log_loss", "area_log")
SIGNS = {"better": "+", "worse": "-", "": "="}
INTRODUCTION = """# What each part buys

One thing is left out or changed at a time, and the router is fitted and judged again on the
splits of the main comparison ({seeds}). Nothing is trained: start values and what is solved for
say what a part is worth within seconds, and they are close to trained networks
([LOG](../LOG.md)). The perceptron starts at zero, so it buys nothing here; trained, it makes tokens
of prompts better by up to a third before their characters are counted. Made by

    python -m experiments.ablations.run parts,data,curves DATA/NAME [DATA/NAME ...] \\
        --seeds {num_seeds} --set training.max_epochs=0 --out RUN
    python experiments/take.py RUN/*.json experiments/ablations/results
    python -m experiments.ablations.table > experiments/ablations/README.md
    python -m experiments.ablations.table --html ablations.html      # the same with bars and curves

Tables show the difference without the part minus `graphrouter` as it is, in brackets its paired
95 % bootstrap interval over test queries, and a star where that excludes zero: a log loss above
zero, or an area or reward below zero, is what the part buys. Of twenty differences that are
nothing, one has a star by chance.

`no_NAME` among the parts is `network.leave_out=[NAME]`, described in `graphrouter/config.py`;
`no_part` leaves out all of them, and `no_task_discriminant` puts in its place an attention that
would have to be trained: its part is smaller beside trained networks ([LOG](../LOG.md)). Data is
taken from the tables that a router is trained on, never from those that it is judged on:
`no_task_nodes` empties the column task; `no_model_descriptions` and `no_task_descriptions` the
descriptions; `no_card_numbers` prices, context, size and capabilities (costs are then learned in
dollars, so figures that weigh cost change for that reason too); `nothing_but_names` descriptions
and numbers, and a name may still state a size or a date. `no_similar_to_edges` leaves out both
parts that read them. Without the edges answered_by nothing is known of any model but its card: see
k = 0 in [newcomers](../newcomers/README.md)."""
CURVES_TEXT = """
## Learning curves

Training and validation queries together, in the usual proportion; a smaller number is a subset of
a larger one, and the test rows stay. Behind a figure of a baseline stands `+` where graphrouter
after as many queries is better and the paired 95 % interval excludes zero, `-` where it is worse,
`=` where neither is sure."""
FEW_TEXT = """
## 200 queries

graphrouter against every baseline that is fitted on the same 200 queries and does not look at
answers: its figure, the best baseline's, and against how many baselines it is surely better / not
surely different / surely worse."""


def page(found: Ablations) -> Iterator[str]:
    """The lines of the page of this folder."""
    num_seeds = found.num_seeds or 3
    seeds = "seed 0 alone" if num_seeds == 1 else f"seeds 0 to {num_seeds - 1}"
    yield INTRODUCTION.format(num_seeds=num_seeds, seeds=seeds)
    for study, evaluations in found.studies.items():
        yield f"\n## {TITLES[study]}"
        for setting, title in SETTINGS.items():
            yield from _study(evaluations, setting, title)
        yield from _failed(evaluations)
    if found.curves:
        yield CURVES_TEXT
        for setting, title in SETTINGS.items():
            for dataset, by_size in found.curves.items():
                yield from _curves(dataset, by_size, setting, title)
    if found.few:
        yield FEW_TEXT
        for setting, title in SETTINGS.items():
            yield from _few(found.few, setting, title)
        yield from _failed(list(found.few.values()))


def _study(evaluations: Sequence[Evaluation], setting: SettingName, title: str) -> Iterator[str]:
    """One table a metric: a row a variant, a column a dataset, and the mean over datasets."""
    known = [found for found in evaluations if setting in found.settings]
    variants = list(
        dict.fromkeys(
            name for found in known for name in found.settings[setting].paired if name != ORACLE
        )
    )
    for metric in SHOWN:
        with_figure = [
            found
            for found in known
            if np.isfinite(found.settings[setting].routers[MAIN][metric].value)
        ]
        if not with_figure:
            continue
        yield f"\n{title_of(metric)}, {title}:\n"
        yield from head("variant", *(found.dataset for found in with_figure), "mean")
        values = [found.settings[setting].routers[MAIN][metric].value for found in with_figure]
        yield f"| {MAIN} | {' | '.join(f'{value:.4f}' for value in (*values, np.mean(values)))} |"
        for variant in variants:
            differences = [difference(found, setting, variant, metric) for found in with_figure]
            known_values = [each.value for each in differences if np.isfinite(each.value)]
            is_known = len(known_values) == len(differences)
            mean = Interval(float(np.mean(known_values)) if is_known else np.nan, np.nan, np.nan)
            yield f"| {variant} | {' | '.join(map(show, [*differences, mean]))} |"


def _failed(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    for found in evaluations:
        for router, reason in found.failed.items():
            yield f"\nNot among them on {found.dataset}: {router} ({reason})"


def _curves(
    dataset: str, by_size: Mapping[str, Evaluation], setting: SettingName, title: str
) -> Iterator[str]:
    """One table a metric: a row a router, a column a size. Baselines that stand in one size alone
    are left out."""
    shown = {size: found for size, found in by_size.items() if setting in found.settings}
    if not shown:
        return
    in_all = [
        name for name in next(iter(shown.values())).settings[setting].routers if name != ORACLE
    ]
    for metric in ON_CURVES:
        routers = [
            name
            for name in in_all
            if all(name in found.settings[setting].routers for found in shown.values())
        ]
        if not all(
            np.isfinite(found.settings[setting].routers[MAIN][metric].value)
            for found in shown.values()
        ):
            continue
        yield f"\n{dataset}, {title}, {title_of(metric)}:\n"
        yield from head("router", *shown)
        for name in routers:
            yield (
                f"| {name} | "
                f"{' | '.join(_figure(found, setting, name, metric) for found in shown.values())} |"
            )


def _figure(found: Evaluation, setting: SettingName, router: str, metric: str) -> str:
    value = found.settings[setting].routers[router][metric].value
    if not np.isfinite(value):
        return "-"
    return (
        f"{value:.4f}"
        if router == MAIN
        else f"{value:.4f} {SIGNS[_mark(found, setting, router, metric)]}"
    )


def _mark(found: Evaluation, setting: SettingName, router: str, metric: str) -> str:
    return find_mark(found.settings[setting].paired[router][metric], METRICS[metric])


def _few(few: Mapping[str, Evaluation], setting: SettingName, title: str) -> Iterator[str]:
    yield f"\n{title}:\n"
    yield from head("dataset", *(title_of(metric) for metric in SHOWN))
    for dataset, found in few.items():
        if setting in found.settings:
            yield (
                f"| {dataset} | "
                f"{' | '.join(_against_all(found, setting, metric) for metric in SHOWN)} |"
            )


def _against_all(found: Evaluation, setting: SettingName, metric: str) -> str:
    routers = found.settings[setting].routers
    excluded = {MAIN, ORACLE, *find_cascades(routers)}
    rivals = {
        name: by[metric].value
        for name, by in routers.items()
        if name not in excluded and np.isfinite(by[metric].value)
    }
    mine = routers[MAIN][metric].value
    if not np.isfinite(mine) or not rivals:
        return "-"
    best = (min if METRICS[metric].lower_is_better else max)(rivals, key=rivals.__getitem__)
    marks = [_mark(found, setting, name, metric) for name in rivals]
    counts = " / ".join(str(marks.count(mark)) for mark in ("better", "", "worse"))
    sign = SIGNS[_mark(found, setting, best, metric)]
    return f"{mine:.4f}; {best} {rivals[best]:.4f} {sign}; {counts}"


def main(words: Sequence[str] | None = None) -> None:
    """Prints the page, or writes it as HTML."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--html", type=Path, metavar="FILE")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FOLDER", help="folder of the JSON files"
    )
    arguments = parser.parse_args(words)
    found = load_results(arguments.results)
    if arguments.html is None:
        print("\n".join(page(found)))
    else:
        arguments.html.write_text(render_ablations(found), encoding="utf-8")


if __name__ == "__main__":
    main()
