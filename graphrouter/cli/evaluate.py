"""`graphrouter evaluate`: an artifact against baselines, on queries it has not learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.outputs import PAGES, check_target, check_targets, write_reports
from graphrouter.cli.progress import begin_run, show_working
from graphrouter.cli.render import say_line
from graphrouter.exceptions import ConfigError
from graphrouter.extras import require_extra
from graphrouter.files import replace_file, to_plain, write_json
from graphrouter.wording import count_of

SHOWN_METRICS = (
    "log_loss",
    "ece",
    "reward_performance_first",
    "reward_balanced",
    "reward_cost_first",
    "area_log",
)
"""Two figures of the predictions, four of the choices; `--all` shows every metric."""

if TYPE_CHECKING:
    from graphrouter.bench.evaluation import Evaluation
    from graphrouter.bench.evaluation.call_curves import CallCurve
    from graphrouter.bench.evaluation.evaluate import SeedRun
    from graphrouter.bench.evaluation.on_request import OnRequest
    from graphrouter.bench.evaluation.results import SettingName
    from graphrouter.bench.evaluation.robustness import RobustnessReport
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.tracking import TrackedRun


def evaluate(
    artifact: options.Artifact,
    data: options.Data,
    split: Annotated[
        Literal["validation", "test"],
        typer.Option(
            "--split",
            help="Which queries of the artifact's split; early stopping has seen those of "
            "validation.",
        ),
    ] = "test",
    baselines: options.Baselines = "quick",
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Also write all figures to FILE as JSON; - writes only JSON.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a report as a web page, and beside it in Markdown.",
        ),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also measure how often the choice flips when prompts are perturbed.",
        ),
    ] = False,
    sequential: Annotated[
        bool,
        typer.Option(
            "--sequential",
            help="Also replay plans of several calls, and all cascades, with one judge.",
        ),
    ] = False,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            metavar="exact|auc:X|column:NAME|agreement",
            help="Judge of --sequential, which it implies: never wrong, or a right answer "
            "outscores a wrong one with chance X, or a real one, whose scores from 0 to 1 stand in "
            "a column of the outcomes, or how far the answers that were called agree "
            "(agreement:number, agreement:choice); auc:0.8 by default.",
            show_default=False,
        ),
    ] = None,
    budgets: Annotated[
        bool,
        typer.Option(
            "--budgets",
            help="Also measure what a budget over the batch of all queries buys, beside what the "
            "same dollars buy otherwise.",
        ),
    ] = False,
    promises: Annotated[
        bool,
        typer.Option(
            "--promises",
            help="Also promise 99 % and 95 % of the best single model's effect by half of the "
            "queries, and test it on the other half.",
        ),
    ] = False,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Show every figure with its 95 % interval.")
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show all figures, not the six that matter first.")
    ] = False,
    draws: options.Draws = 1000,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the bootstrap and of what baselines draw.")
    ] = 0,
    track: options.Track = False,
    tracking_uri: options.TrackingUri = None,
    experiment: options.Experiment = None,
) -> None:
    """Compare an artifact with baselines and the oracle on the test queries of its split.

    First the verdict, then six figures (--all shows more): once with the tasks of the queries
    known, once hidden. On other data than the artifact was trained on, all queries count that are
    new to it. Over several splits and datasets: graphrouter benchmark.

    Example: graphrouter evaluate artifacts/demo/router artifacts/demo/data --baselines rasch --json
    figures.json
    """
    if sequential and judge is None:
        judge = "auc:0.8"
    if promises and split == "validation":
        raise ConfigError(
            "--promises received --split validation, and a promise needs queries that the artifact "
            "has not seen. Leave one of the two out."
        )
    only_json = json_file == "-"
    target = None if json_file is None or only_json else Path(json_file)
    if html is not None:
        check_target(html, suffixes=PAGES)
    check_targets(target, html, None if html is None else html.with_suffix(".md"))
    tracking = options.read_tracking(track, tracking_uri, experiment)

    from graphrouter.bench.baselines.catalogue import ALWAYS, QUICK
    from graphrouter.bench.evaluation.call_curves import trace_calls
    from graphrouter.bench.evaluation.held_out import collect_held_out
    from graphrouter.bench.evaluation.on_request import OnRequest, measure_on_request
    from graphrouter.bench.evaluation.replay_judge import read_judge
    from graphrouter.data import load_dataset
    from graphrouter.data.assignment import warn_of_assignment
    from graphrouter.router.graph_router import GraphRouter

    names = options.read_names(baselines)
    if judge is not None:
        read_judge(judge)  # before the data is read
    if html is not None or track or not set(names) <= {*ALWAYS, *QUICK}:
        require_extra("bench", purpose="A report, or a baseline beyond the quick ones,")
    with show_working("Reading the data and the router"):
        dataset, router = load_dataset(data), GraphRouter.load(artifact)
    assignment = warn_of_assignment(dataset)
    words = [
        "evaluate",
        str(artifact),
        data,
        "--split",
        split,
        "--baselines",
        baselines,
        "--seed",
        str(seed),
    ]
    words += ["--draws", str(draws), *(["--robustness"] if robustness else [])]
    words += ["--sequential", "--judge", judge] if judge is not None else []
    words += [*(["--budgets"] if budgets else []), *(["--promises"] if promises else [])]
    with begin_run(
        tracking, f"evaluate {artifact.name} on {dataset.name}", command="evaluate"
    ) as tracked:
        with show_working("Fitting the baselines") as status:
            collected = collect_held_out(
                router,
                dataset,
                side=split,
                baselines=names,
                seed=seed,
                judge=judge,
                tell=lambda what: status.update(f"{what} ..."),
            )
        seed_run = collected.run
        with show_working(
            f"Resampling {count_of(len(seed_run.evaluation_set.query_ids), 'query')}"
        ):
            found = collected.score(num_draws=draws, seed=seed)
        report = _perturb(router, seed_run, draws=draws, seed=seed) if robustness else None
        asked = OnRequest()
        if budgets or promises:
            with show_working("Measuring budgets and promises"):
                asked = measure_on_request(
                    router,
                    dataset,
                    seed_run,
                    budgets=budgets,
                    promises=promises,
                    num_draws=draws,
                    seed=seed,
                )
        figures = {**found.to_json(), "assignment": to_plain(assignment), **asked.to_json()}
        calls = {setting: trace_calls([seed_run], setting) for setting in found.settings}
        if any(calls.values()):
            figures["calls"] = {
                setting: {curve.router: curve.to_json() for curve in curves}
                for setting, curves in calls.items()
            }
        if report is not None:
            figures["robustness"] = report.to_json()
        if not only_json:
            shown = (*SHOWN_METRICS, *(("mean_calls",) if any(calls.values()) else ()))
            _show(
                found,
                report,
                calls,
                asked,
                metrics=None if show_all else shown,
                intervals=intervals,
            )
        if target is not None:
            replace_file(target, partial(write_json, figures))
            say_line(f"Wrote all figures to {target}")
        command = options.join_command(words)
        write = partial(write_reports, [([seed_run], found)], command=command, on_request=asked)
        for file in [] if html is None else write(html):
            if not only_json:
                say_line(f"Wrote {file}")
        if tracked.is_on:
            where = {"artifact": artifact, "data": data, "split": split}
            settings = {**where, "baselines": baselines, "draws": draws, "seed": seed}
            _log(tracked, found, figures, settings, write)
    if only_json:
        print_json(figures)


def _perturb(router: GraphRouter, seed_run: SeedRun, *, draws: int, seed: int) -> RobustnessReport:
    from graphrouter.bench.evaluation.robustness import find_easy_queries, measure_robustness

    evaluation_set = seed_run.evaluation_set
    with show_working("Perturbing the prompts"):
        easy = find_easy_queries(evaluation_set.observed.effect, evaluation_set.observed.cost_usd)
        return measure_robustness(
            router,
            evaluation_set.queries,
            is_easy=easy,
            seed=seed,
            num_draws=draws,
        )


def _log(
    run: TrackedRun,
    found: Evaluation,
    figures: dict[str, Any],
    settings: dict[str, Any],
    write: Callable[[Path], list[Path]],
) -> None:
    """Log the figures of the router, and the report and all figures as files."""
    from graphrouter.artifact import read_manifest
    from graphrouter.tracking.evaluation_log import log_evaluation

    run.set_tags({"artifact.checksum": str(read_manifest(settings["artifact"])["checksum"])})
    with TemporaryDirectory(prefix="graphrouter-") as folder:
        files = write(Path(folder) / "report.html")
        write_json(figures, Path(folder) / "figures.json")
        log_evaluation(run, found, params=settings, files=[*files, Path(folder) / "figures.json"])


def _show(
    found: Evaluation,
    report: RobustnessReport | None,
    calls: Mapping[SettingName, Sequence[CallCurve]],
    asked: OnRequest,
    *,
    metrics: Sequence[str] | None,
    intervals: bool,
) -> None:
    from graphrouter.cli.evaluation_tables import (
        show_budgets,
        show_calls,
        show_evaluation,
        show_promises,
        show_robustness,
        show_verdicts,
    )

    show_verdicts(found)
    for setting in found.settings:
        show_evaluation(found, setting, metrics=metrics, intervals=intervals)
        if calls[setting]:
            show_calls(calls[setting], setting)
        if setting in asked.budgets:
            show_budgets(asked.budgets[setting], setting)
        if setting in asked.promises:
            show_promises(asked.promises[setting], setting)
    for name, reason in found.failed.items():
        say_line(f"Not among them: {name} ({reason})")
    if report is not None:
        show_robustness(report)
