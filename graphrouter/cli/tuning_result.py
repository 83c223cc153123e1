"""What `graphrouter tune` leaves: files, and the best trials in the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.cli.outputs import write_texts
from graphrouter.cli.render import format_number, make_table, say, say_line, show_table
from graphrouter.cli.settings import format_settings
from graphrouter.files import replace_file, write_json
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.bench.tuning import TuningResult

BEST, TRIALS, REPORT = "best.yaml", "trials.json", "report.html"
_SHOWN = 5


def write_result(result: TuningResult, out: Path, page: Path, *, command: str) -> list[Path]:
    """The files written: the settings to train with, all trials, and the report.

    No settings where no trial has a result.
    """
    from graphrouter.bench.tuning.tuning_page import render_tuning_html

    texts = {page: render_tuning_html(result, command=command)}
    if result.chosen is not None:
        texts = {out / BEST: format_best(result, command=command), **texts}
    replace_file(out / TRIALS, partial(write_json, result.to_json()))
    write_texts(texts)
    return [*texts, out / TRIALS]


def format_best(result: TuningResult, *, command: str) -> str:
    """The chosen settings, all of them, with a heading that says where they come from."""
    chosen = result.chosen
    which = (
        "none"
        if chosen is None
        else f"trial {chosen.number}{f', {result.start_name}' if chosen.is_start else ''}"
    )
    heading = [
        f"Settings chosen by: {command}",
        f"{result.verdict} These are the settings of {which}.",
    ]
    heading.append(f"To use them: graphrouter train DATA --out ARTIFACT --config {BEST}")
    return "".join(f"# {' '.join(line.split())}\n" for line in heading) + format_settings(
        result.config
    )


def show_result(result: TuningResult, files: Sequence[Path], out: Path, data: str) -> None:
    """Write the best trials, the verdict, and what to do next."""
    say()
    if result.completed:
        _show_trials(result)
    if result.num_running:
        say(
            f"{count_of(result.num_running, 'trial', 'is', 'are')} still running elsewhere; "
            f"the same "
            f"command, later, "
            "takes them in."
        )
    if result.chosen is not None:
        say(result.verdict, style="bold")
        say(
            "Validation figures: the best of many is somewhat lucky. Train with its settings, and "
            "evaluate on test queries.",
            style="dim",
        )
    say()
    for file in files:
        say_line(f"Wrote {file}")
    if result.chosen is not None:
        say("\nNext:")
        say_line(
            f"  graphrouter train {shlex.quote(data)} --out artifacts/tuned --config "
            f"{shlex.quote(str(out / BEST))}"
        )


def _show_trials(result: TuningResult) -> None:
    first = result.objectives[0]
    ranked = sorted(
        result.completed,
        key=lambda trial: trial.values[first.name],
        reverse=first.direction == "maximize",
    )
    shown = [
        trial
        for rank, trial in enumerate(ranked)
        if rank < _SHOWN or trial in (result.chosen, result.start)
    ]
    title = f"{len(shown)} of {count_of(len(result.trials), 'trial')}, by {first.title}"
    table = make_table(title, "trial", *(each.title for each in result.objectives), "seconds")
    for trial in shown:
        label = f"{trial.number}{f' ({result.start_name})' if trial.is_start else ''}"
        figures = [format_number(trial.values[each.name], ".4f") for each in result.objectives]
        table.add_row(
            label,
            *figures,
            format_number(trial.seconds, ".1f"),
            style="bold" if trial is result.chosen else None,
        )
    show_table(table)
