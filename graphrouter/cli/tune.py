"""`graphrouter tune`: settings that do best on validation queries, as a file for `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console, error_console, print_error, print_json
from graphrouter.cli.outputs import PAGES, check_target, check_targets
from graphrouter.cli.progress import begin_run, guard_output, open_progress, show_working
from graphrouter.cli.settings import ConfigFile, Overrides
from graphrouter.cli.train import GRAPH_ROUTER, load_and_split, show_data
from graphrouter.cli.tuning_result import BEST, REPORT, TRIALS, show_result, write_result
from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.locks import LOCK_FILES, lock_folder
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from optuna.study import Study

    from graphrouter.bench.tuning import TrialRecord, TuningResult
    from graphrouter.bench.tuning.plan import TuningPlan
    from graphrouter.tracking import TrackedRun

STUDY = "study.sqlite3"
_MESSAGE_CHARS = 60


def tune(
    data: options.Data,
    trials: Annotated[
        int,
        typer.Option(
            "--trials",
            metavar="N",
            min=1,
            help="Trials of the study, those of earlier runs and other workers too.",
        ),
    ] = 20,
    objective: Annotated[
        str,
        typer.Option(
            "--objective",
            metavar="NAMES",
            help="log_loss, reward or area on validation queries, or several with commas between "
            "them. Trials are pruned by "
            "log_loss or reward alone: Optuna cannot prune by several, and the area is only known "
            "at the end of a trial.",
        ),
    ] = "log_loss",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for best.yaml, trials.json, report.html and the study; tuning/DATA by "
            "default.",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="Where the study is kept: a database by URL, or journal:FILE; OUT/study.sqlite3 "
            "by default. Workers with the "
            "same storage and study work together.",
            show_default=False,
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="Name of the study; that of the data by default.",
            show_default=False,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            "--space",
            metavar="FILE",
            help="YAML file with what may change; see --list-space.",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, help="Seed of the search; of weights and split: --set seed=N."
        ),
    ] = 0,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write the report to FILE; OUT/report.html by default."
        ),
    ] = None,
    as_json: options.Json = False,
    track: options.Track = False,
    tracking_uri: options.TrackingUri = None,
    experiment: options.Experiment = None,
    list_space: Annotated[
        bool,
        typer.Option(
            "--list-space",
            is_eager=True,
            callback=lambda wanted: _list_space(wanted),
            help="Print the default search space and leave.",
        ),
    ] = False,
) -> None:
    """Look for settings that do better on the validation queries of DATA.

    Its test queries are not looked at.

    The first trial takes the settings as they are, so that the result says whether tuning was worth
    it. What is finished is kept in the study: the same command goes on after an interruption, and
    with more --trials it looks further.

    Example: graphrouter tune simulated --trials 10 --out tuning/simulated
    """
    require_extra("tune", purpose="Tuning")
    require_extra("bench", purpose="The report of a tuning")
    out = out or Path("tuning") / Path(data).resolve().name
    page = html or out / REPORT
    check_target(page, suffixes=PAGES)
    check_targets(out / BEST, out / TRIALS, page)
    check_folder(out)
    tracking = options.read_tracking(track, tracking_uri, experiment)
    with show_working("Loading libraries"):
        from graphrouter.bench.tuning.study import open_study
        from graphrouter.bench.tuning.study_storage import build_sqlite_address
        from graphrouter.bench.tuning.tuning_run import explain_failure, summarize
    plan = _plan(data, objective, space, config, overrides, is_shown=not as_json)
    if storage is None:
        out.mkdir(parents=True, exist_ok=True)
    address = storage or build_sqlite_address(out / STUDY)
    opened = open_study(plan, storage=address, name=study or plan.data.dataset.name, seed=seed)
    words = ["tune", data, "--trials", str(trials), "--objective", objective, "--seed", str(seed)]
    words += [] if space is None else ["--space", str(space)]
    command = options.join_command(words, config=config, overrides=overrides)
    with begin_run(tracking, f"tune {plan.data.dataset.name}", command="tune") as tracked:
        _log_start(tracked, plan, command)
        _run(opened, plan, trials, address=address, tracked=tracked)
        with lock_folder(out):  # of several workers, the last one to write has read the study last
            with show_working("Comparing the trials"):
                result = summarize(opened, plan, storage=address)
            files = write_result(result, out, page, command=command)
        _log_end(tracked, result, files)
    if as_json:
        print_json(result.to_json())
    else:
        show_result(result, files, out, data)
    if result.chosen is None:
        print_error(explain_failure(result))
        raise typer.Exit(1)


def _plan(
    data: str,
    objective: str,
    space: Path | None,
    config: Path | None,
    overrides: list[str] | None,
    *,
    is_shown: bool,
) -> TuningPlan:
    """What the study is about; what can be refused is looked at before the data is read."""
    from graphrouter.bench.tuning.objectives import find_objectives
    from graphrouter.bench.tuning.plan import plan_tuning
    from graphrouter.bench.tuning.search_space import build_default_space, load_space
    from graphrouter.config import load_config

    names = [each.name for each in find_objectives([word.strip() for word in objective.split(",")])]
    chosen = build_default_space() if space is None else load_space(space)
    settings = load_config(config, overrides or [])
    chosen.start(settings)
    dataset, split = load_and_split(data, settings)
    if is_shown:
        show_data(dataset, split)
    with show_working("Encoding the prompts"):
        return plan_tuning(dataset, settings, objectives=names, space=chosen, split=split)


def check_folder(out: Path) -> None:
    """Refuse a folder that is neither that of an earlier study, nor empty, nor new.

    Raises:
        DataError: It holds something else.
    """
    if (
        out.is_dir()
        and any(path.name not in LOCK_FILES for path in out.iterdir())
        and not any((out / name).is_file() for name in (STUDY, TRIALS))
    ):
        raise DataError(
            f"{out} holds other files than those of a study. Name a new folder with --out, or "
            "that of an earlier study."
        )


def _run(
    study: Study, plan: TuningPlan, num_trials: int, *, address: str, tracked: TrackedRun
) -> None:
    """Run trials until there are enough, with a progress bar, and tell each failure."""
    from graphrouter.bench.tuning.study import read_records
    from graphrouter.bench.tuning.study_storage import hide_password
    from graphrouter.bench.tuning.trial_worker import run_trials

    earlier = len(read_records(study, plan))
    if earlier:
        error_console.out(
            f"{earlier} of {count_of(max(num_trials, earlier), 'trial')} done already.",
            highlight=False,
        )
    try:
        with open_progress() as bar:
            task = bar.add_task("Trials", total=max(num_trials, earlier), completed=earlier)
            with guard_output():
                for record in run_trials(study, plan, num_trials=num_trials):
                    bar.update(
                        task, completed=len(read_records(study, plan)), description=_tell(record)
                    )
                    _log_trial(tracked, record)
                    if record.state == "failed":
                        error_console.out(
                            f"Trial {record.number} failed: {record.message}", highlight=False
                        )
    except KeyboardInterrupt:
        error_console.out(
            f"What is finished is kept in {hide_password(address)}; "
            "the same command goes on from there.",
            highlight=False,
        )
        raise


def _tell(record: TrialRecord) -> str:
    """What the bar says of the last trial."""
    figures = ", ".join(f"{name} {value:.4f}" for name, value in record.values.items())
    return f"Trial {record.number}: {figures or record.state}"[:_MESSAGE_CHARS].ljust(30)


def _log_start(tracked: TrackedRun, plan: TuningPlan, command: str) -> None:
    """Log what is about to be tuned."""
    if not tracked.is_on:
        return
    from graphrouter.tracking.training_log import log_setup

    log_setup(tracked, plan.config, plan.data.dataset, plan.data.split, router=GRAPH_ROUTER)
    tracked.log_params(
        {"objectives": ",".join(each.name for each in plan.objectives), "command": command}
    )


def _log_trial(tracked: TrackedRun, record: TrialRecord) -> None:
    """Log a trial as a run below that of the search."""
    from graphrouter.tracking.tuning_log import log_trial

    log_trial(
        tracked,
        number=record.number,
        params=record.params,
        values=record.values,
        state=record.state,
        seconds=record.seconds,
        epochs={
            each.epoch: {
                "val/log_loss": each.log_loss,
                "val/reward": each.reward,
                "train/effect": each.train_effect,
            }
            for each in record.epochs
        },
        message=record.message,
    )


def _log_end(tracked: TrackedRun, result: TuningResult, files: list[Path]) -> None:
    """Log the verdict, the figures of the chosen trial, and the files."""
    if not tracked.is_on:
        return
    tracked.describe(result.verdict)
    if result.chosen is not None:
        tracked.log_metrics({f"best/{name}": value for name, value in result.chosen.values.items()})
    for file in files:
        tracked.log_files(file)


def _list_space(wanted: bool) -> None:
    if not wanted:
        return
    from graphrouter.bench.tuning.search_space import build_default_space, write_space_yaml

    console.out(write_space_yaml(build_default_space()).rstrip("\n"), highlight=False)
    raise typer.Exit
