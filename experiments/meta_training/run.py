"""Start values learned on all sets but one, tried on that one.

Usage:
    python -m experiments.meta_training.run DATA [DATA ...] --out RUN [--seeds 3]
        [--trained-seeds 1] [--rounds 50] [--jobs 1]

What is done is not done again. First, for each set, one network learns its structural parameters on
the training rows of all others (split 0), stopped by their validation rows: RUN/start-NAME.json.
Then the set that was left out is predicted from these (`meta_trained`), from the start values of
the package (`graphrouter`), after training (`trained`, the first splits alone) and by baselines, on
test rows of `graphrouter benchmark`. Writes RUN/NAME.json and, of the splits with training,
RUN/trained-NAME.json; prints a table.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments.ablations.run import keep
from experiments.few_outcomes.run import BASELINES
from experiments.meta_training.cells import StartCell, run_start, write_start
from experiments.meta_training.learning import learn_start_values
from experiments.meta_training.table import KEPT, META, TRAINED, tables
from graphrouter.bench.evaluation.benchmark import MAIN, CellResult, Plan, collect, find_missing
from graphrouter.bench.evaluation.grid import (
    CELLS,
    keep_embeddings,
    open_cells,
    read_datasets,
    run_cells,
    set_seeds,
)
from graphrouter.config import TrainConfig, load_config
from graphrouter.data import RoutingDataset
from graphrouter.files import replace_file, write_json
from graphrouter.router.fitting import training_tables
from graphrouter.router.training_view import TrainingView

EPISODES = ("training.batch_queries=128", "training.support_queries=1024")
"""Half of what training draws: seven times six sets on one core."""


def learn(datasets: Sequence[RoutingDataset], folder: Path, *, num_rounds: int) -> None:
    """Write the start values for each set, learned on all others, where they are not there yet."""
    if all(start_file(folder, data.name).is_file() for data in datasets):
        return
    config = keep_embeddings(load_config(overrides=EPISODES), folder)
    prepared = [TrainingView.of(data, config).derive(training_tables) for data in datasets]
    for left_out, data in enumerate(datasets):
        file = start_file(folder, data.name)
        if file.is_file():
            continue
        started = time.perf_counter()
        found = learn_start_values(
            [*prepared[:left_out], *prepared[left_out + 1 :]],
            config,
            num_rounds=num_rounds,
        )
        replace_file(file, partial(write_start, found))
        said = ", ".join(f"{loss:.4f}" for loss in found.losses)
        print(
            f"without {data.name}: {time.perf_counter() - started:.0f} s, validation {said}; "
            f"check {found.best_check} is kept",
            file=sys.stderr,
        )


def start_file(folder: Path, left_out: str) -> Path:
    """Where the start values learned without a set are kept."""
    return folder / f"start-{left_out}.json"


def plan(place: str, data: RoutingDataset, folder: Path, seeds: Sequence[int]) -> Plan:
    """Everybody on some splits of a set that was left out, training left aside."""
    untrained = keep_embeddings(TrainConfig(), folder).without_training()
    settings = dict.fromkeys((MAIN, META, *BASELINES), untrained)
    return _plan(place, data, folder, settings, seeds)


def plan_training(place: str, data: RoutingDataset, folder: Path, seeds: Sequence[int]) -> Plan:
    """The router with its start values, with those learned, and trained."""
    config = keep_embeddings(TrainConfig(), folder)
    untrained = config.without_training()
    settings = {MAIN: untrained, META: untrained, TRAINED: config}
    return _plan(place, data, folder, settings, seeds)


def _plan(
    place: str,
    data: RoutingDataset,
    folder: Path,
    settings: dict[str, TrainConfig],
    seeds: Sequence[int],
) -> Plan:
    start = start_file(folder, data.name)
    cells = tuple(
        StartCell(
            place,
            data.name,
            data.fingerprint,
            name,
            set_seeds(config, seed),
            folder / CELLS,
            start=start if name == META else None,
        )
        for seed in seeds
        for name, config in settings.items()
    )
    return Plan(cells, {place: data.name}, folder)


def run_plan(wanted: Plan, *, jobs: int) -> None:
    """Run the cells that have no result yet; what is done is told on standard error."""
    cells = open_cells(cell for cell in wanted.cells if isinstance(cell, StartCell))
    for cell, result in run_cells(cells, run_start, CellResult, num_processes=jobs):
        said = result.message or f"{result.fit_s:.0f} s"
        print(
            f"{cell.name} seed {cell.seed} {cell.router}: {result.status}, {said}", file=sys.stderr
        )


def write_plan(wanted: Plan, file: Path) -> None:
    """Write the figures of a plan."""
    for reason in find_missing(wanted).values():
        print(f"No figures for {file.name}: {reason}", file=sys.stderr)
    for found in collect(wanted):
        replace_file(file, partial(write_json, keep(found.evaluation, KEPT).to_json()))


def main(words: Sequence[str] | None = None) -> None:
    """Learns, runs, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="folders of datasets, at least two")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="splits")
    parser.add_argument("--trained-seeds", type=int, default=1, help="splits with training")
    parser.add_argument("--rounds", type=int, default=50, help="most rounds over the other sets")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    arguments = parser.parse_args(words)
    if len(arguments.data) < 2:
        parser.error("one set alone leaves none to learn from; name two or more")
    datasets = read_datasets(arguments.data)
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    learn(list(datasets.values()), folder, num_rounds=arguments.rounds)
    seeds, trained = range(arguments.seeds), range(arguments.trained_seeds)
    for each, prefix, chosen in ((plan, "", seeds), (plan_training, "trained-", trained)):
        for place, data in datasets.items() if chosen else ():
            wanted = each(place, data, folder, chosen)
            run_plan(wanted, jobs=arguments.jobs)
            write_plan(wanted, folder / f"{prefix}{data.name}.json")
    print("\n".join(tables(folder)))


if __name__ == "__main__":
    main()
