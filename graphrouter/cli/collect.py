"""`graphrouter collect`: ask a pool, have the answers graded, and leave a dataset to train on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from graphrouter.cli import options
from graphrouter.cli.console import error_console, print_json
from graphrouter.cli.inputs import read_cards
from graphrouter.cli.render import say_line
from graphrouter.exceptions import ConfigError
from graphrouter.extras import require_extra
from graphrouter.text_files import read_text_file
from graphrouter.wording import count_of, suggest

if TYPE_CHECKING:
    from graphrouter.collecting import Collected
    from graphrouter.collecting.collecting_judges import CollectingJudge
    from graphrouter.collecting.collection import Progress
    from graphrouter.collecting.model_calls import ModelCalls
    from graphrouter.gateway.upstreams import Deployment
    from graphrouter.pool import ModelPool

    MakeJudge = Callable[[ModelCalls], CollectingJudge]

STATUS_STOPPED = 3
"""Exit status where a limit was reached before all was there; failures have others."""
_REASONS_SHOWN = 8
_MODELS_JUDGE: Mapping[str, Literal["score", "pairwise"]] = {
    "llm": "score",
    "pairwise": "pairwise",
}
JUDGE_HELP = (
    "Who grades: exact, exact:final, exact:anywhere, numeric, choice, f1, rouge, schema or tests, "
    "by the column --expected of the prompts; llm:MODEL, a score by --rubric; pairwise:MODEL, a "
    "comparison with the expected answer in both orders; python:MODULE.FUNCTION of prompt, answer "
    "and perhaps what is expected; person, in this terminal; page, on a page of this machine."
)


def collect(
    prompts: Annotated[
        Path,
        typer.Argument(
            metavar="PROMPTS",
            help="Table with a column prompt, and perhaps query_id, task and expected, as "
            ".parquet, .csv or .jsonl; or a .txt with one prompt a line.",
            show_default=False,
        ),
    ],
    upstreams: Annotated[
        Path,
        typer.Option(
            "--upstreams",
            metavar="FILE",
            help="Where models are served, as .yaml or .json: that of graphrouter serve.",
            show_default=False,
        ),
    ],
    judge: Annotated[
        str, typer.Option("--judge", metavar="JUDGE", help=JUDGE_HELP, show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for the journal and the tables. A run that was stopped or killed goes on "
            "from there.",
            show_default=False,
        ),
    ],
    cards: Annotated[
        Path | None,
        typer.Option(
            "--cards",
            metavar="FILE",
            help="Table of models with descriptions and prices, as that of a dataset; without it "
            "cards hold what --upstreams says.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="NAMES",
            help="Models to ask, with commas between them; all with an address by default.",
            show_default=False,
        ),
    ] = None,
    budget_usd: Annotated[
        float | None,
        typer.Option(
            "--budget-usd",
            min=0,
            metavar="USD",
            help="Most to spend in all, earlier runs and judges among them; no limit by default.",
            show_default=False,
        ),
    ] = None,
    max_calls: Annotated[
        int | None,
        typer.Option(
            "--max-calls",
            min=1,
            metavar="N",
            help="Most calls in all, likewise; no limit by default.",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=1000, help="Calls on their way at once.")
    ] = 8,
    max_output_tokens: Annotated[
        int,
        typer.Option(
            "--max-output-tokens",
            min=1,
            help="Longest answer, where the parameters of an upstream say nothing.",
        ),
    ] = 2048,
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="TEXT",
            help="System message before every prompt that is no chat; none by default.",
            show_default=False,
        ),
    ] = None,
    expected: Annotated[
        str,
        typer.Option("--expected", metavar="COLUMN", help="Column with what the judge expects."),
    ] = "expected",
    rubric: Annotated[
        Path | None,
        typer.Option(
            "--rubric",
            metavar="FILE",
            help="Text that tells a model that judges what makes an answer good.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the order of calls.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Ask models many prompts, have the answers graded, and write a dataset to train on.

    One answer each of many prompts tells more than all answers to few, so calls are spread over
    tasks, prompts and models, and may be stopped anywhere. Everything stands in a journal before
    and after each call: the same command goes on where it was, and what was answered is not paid
    again. Before a call the most that it can cost is set aside, so --budget-usd holds.

    Exit status 3 says that a limit was reached before all pairs were there.

    Example: graphrouter collect prompts.csv --upstreams up.yaml --judge numeric --out data/mine
    --budget-usd 5
    """
    require_extra("serve", purpose="graphrouter collect")

    from graphrouter.collecting import Limits, read_prompts
    from graphrouter.collecting import collect as collect_answers
    from graphrouter.gateway.upstreams import load_upstreams

    rows = read_prompts(prompts, expected)
    everyone = _read_pool(upstreams, cards)
    deployments = load_upstreams(upstreams, everyone, os.environ)
    limits = Limits(budget_usd, max_calls, concurrency, max_output_tokens)
    with _choose_judge(judge, deployments, rubric) as make_judge, _show_progress(out) as tell:
        found = collect_answers(
            rows,
            _select(everyone, models),
            deployments,
            make_judge,
            out,
            limits,
            system=system,
            seed=seed,
            tell=tell,
        )
    if as_json:
        print_json(_to_plain(found))
    else:
        _say(found, out)
    if found.stopped:
        raise typer.Exit(STATUS_STOPPED)


def _read_pool(upstreams: Path, cards: Path | None) -> ModelPool:
    """All models that may be asked."""
    from graphrouter.gateway.upstreams import list_candidates
    from graphrouter.pool import ModelPool

    found = list_candidates(upstreams) if cards is None else ModelPool.of(read_cards(cards))
    if not found.names:
        raise ConfigError(
            f"{upstreams.name} names no models under upstreams. Name at least two, or give their "
            "cards with --cards and a base_url under defaults."
        )
    return found


def _select(pool: ModelPool, names: str | None) -> ModelPool:
    """The models that --models names, in the order of the pool."""
    from graphrouter.pool import ModelPool

    if names is None:
        return pool
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in pool.index:
            hint = suggest(name, pool.names, "There are: ")
            raise ConfigError(f"--models received {name!r}, which is no model of the pool. {hint}")
    return ModelPool.of(card for card in pool if card.model in wanted)


@contextmanager
def _choose_judge(
    word: str, deployments: Mapping[str, Sequence[Deployment]], rubric: Path | None
) -> Iterator[MakeJudge]:
    """What makes the judge that a word names."""
    from graphrouter.collecting.collecting_judges import (
        BY_EXPECTED,
        ExpectedJudge,
        FunctionJudge,
        load_function,
    )
    from graphrouter.collecting.people import GradingPage, TerminalJudge
    from graphrouter.collecting.rubric_judge import DEFAULT_RUBRIC, RubricJudge

    kind, _, name = word.partition(":")
    if rubric is not None and kind not in _MODELS_JUDGE:
        raise typer.BadParameter("--rubric is for --judge llm:MODEL and pairwise:MODEL")
    if word in BY_EXPECTED:
        by_expected = ExpectedJudge(word)
        yield lambda calls: by_expected
    elif kind in _MODELS_JUDGE and name:
        text = DEFAULT_RUBRIC if rubric is None else read_text_file(rubric, refuse=ConfigError)
        yield lambda calls: RubricJudge(
            calls, deployments, name, rubric=text, mode=_MODELS_JUDGE[kind]
        )
    elif kind == "python" and name:
        function = FunctionJudge(load_function(name), word)
        yield lambda calls: function
    elif word == "person":
        terminal = TerminalJudge(lambda line: error_console.out(line, highlight=False), _read_line)
        yield lambda calls: terminal
    elif word == "page":
        with GradingPage() as page:
            error_console.out(f"Grade the answers at {page.address}", highlight=False)
            yield lambda calls: page
    else:
        known = [*BY_EXPECTED, "llm:MODEL", "pairwise:MODEL", "python:MODULE.FUNCTION"]
        hint = suggest(word, [*known, "person", "page"], "Judges: ", most=20)
        raise typer.BadParameter(f"--judge received {word!r}. {hint}")


def _read_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise KeyboardInterrupt  # the end of the input: nobody is there to grade
    return line


@contextmanager
def _show_progress(out: Path) -> Iterator[Callable[[Progress], None]]:
    """A bar with rates and dollars on standard error, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("Answers"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    is_shown = error_console.is_terminal
    with Bars(*columns, console=error_console, transient=True, disable=not is_shown) as bars:
        bar = bars.add_task("Answers", total=None, told="")

        def tell(progress: Progress) -> None:
            rate = bars.tasks[0].speed
            told = f"{progress.spent_usd:.4f} USD"
            told += f", {rate:.1f} a second" if rate else ""
            told += f", {progress.num_failed} failed" if progress.num_failed else ""
            bars.update(bar, completed=progress.num_answers, total=progress.num_pairs, told=told)
            if progress.is_over:
                bars.stop()  # a person may be asked now

        try:
            yield tell
        except KeyboardInterrupt:
            error_console.out(
                f"What was answered is kept in {out}; the same command goes on from there.",
                highlight=False,
            )
            raise


def _say(found: Collected, out: Path) -> None:
    say_line(
        f"{count_of(found.num_answers, 'answer')} of {count_of(found.num_pairs, 'pair')}, "
        f"{found.num_graded:,} graded"
    )
    doubt = f", of which {found.doubtful_usd:.6f} in doubt" if found.doubtful_usd else ""
    say_line(f"{found.spent_usd:.6f} USD in {count_of(found.num_calls, 'call')}{doubt}")
    if found.num_cut_off:
        say_line(
            f"{count_of(found.num_cut_off, 'call')} cut off by a kill: counted as paid, and asked "
            "again"
        )
    if found.agreement is not None:
        say_line(f"The judge said the same in both orders of {found.agreement:.0%}")
    for reason, number in list(found.failures.items())[:_REASONS_SHOWN]:
        say_line(f"No answer ({number:,}): {reason}")
    for model in found.given_up:
        say_line(f"{model} failed too often in a row and was not asked any more")
    if found.stopped:
        say_line(f"Stopped at a limit: {found.stopped}")
    if found.dataset is None:
        say_line("No tables yet: they take graded answers of two models")
    else:
        say_line(f"Wrote {out}: graphrouter train {out} --out artifacts/mine")


def _to_plain(found: Collected) -> dict[str, Any]:
    told = {field.name: getattr(found, field.name) for field in fields(found)}
    return {**told, "dataset": found.dataset is not None}
