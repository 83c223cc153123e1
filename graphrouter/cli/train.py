"""`graphrouter train`: from a folder of outcomes to an artifact."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import typer

from graphrouter.cli import options
from graphrouter.cli.console import error_console, print_json
from graphrouter.cli.progress import begin_run, guard_output, show_working
from graphrouter.cli.render import (
    describe_missing,
    describe_share,
    describe_ungraded,
    say,
    say_line,
)
from graphrouter.cli.routers import say_kept
from graphrouter.cli.settings import ConfigFile, Overrides
from graphrouter.exceptions import ArtifactError, BusyError, ConfigError
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

    from graphrouter.config import TrainConfig
    from graphrouter.data import RoutingDataset, Split
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.router.protocol import Router

R = TypeVar("R", bound="Router")
GRAPH_ROUTER = "graphrouter"
SMALL = 100
SPEND_IN_WORDS = {
    "tokens": "predicted from tokens and prices",
    "price": "predicted from recorded dollars and prices: the recorded tokens do not explain the "
    "dollars",
    "usd": "predicted from recorded dollars: the models have no prices",
    "none": "not predicted: the outcomes carry neither dollars nor tokens",
}
SHOWN_METRICS = {"log_loss": "log loss", "reward": "mean reward of the presets"}


@dataclass(frozen=True)
class TrainingRun(Generic[R]):
    """What a finished training leaves to report."""

    router: R
    seconds: float
    metrics: Mapping[str, float]
    """Validation figures of the chosen epoch; none of a baseline."""


def train(
    data: options.Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="ARTIFACT", help="Folder for the artifact.", show_default=False
        ),
    ],
    config: ConfigFile = None,
    overrides: Overrides = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Seed of weights and episodes; as --set seed=N."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--fresh",
            help="Go on with an interrupted run of the same data and settings, or start over.",
        ),
    ] = True,
    router: Annotated[
        str,
        typer.Option(
            "--router",
            metavar="NAME",
            help="graphrouter, or a baseline such as knn; the names: graphrouter benchmark --list.",
        ),
    ] = GRAPH_ROUTER,
    instant: Annotated[
        bool,
        typer.Option(
            "--instant",
            help="Train nothing: predict from the start values, ready in seconds. As --set "
            "training.max_epochs=0.",
        ),
    ] = False,
    evidence: Annotated[
        bool,
        typer.Option(
            "--evidence/--no-evidence",
            help="Keep the text of the training prompts, which decisions cite, or save without it.",
        ),
    ] = True,
    as_json: options.Json = False,
    track: options.Track = False,
    tracking_uri: options.TrackingUri = None,
    experiment: options.Experiment = None,
    register: options.Register = None,
) -> None:
    """Train a router on the training queries of DATA and save it as an artifact.

    What was at ARTIFACT stays there as an older version, see: graphrouter versions. Checkpoints lie
    in ARTIFACT.training until the run is done. All settings: graphrouter config. Where a benchmark
    says that a simpler router does as well, --router makes an artifact of that one; route and
    predict take either.

    Example: graphrouter train simulated --out artifacts/mine --set training.max_epochs=5
    """
    from graphrouter.config import load_config

    tracking = options.read_tracking(track, tracking_uri, experiment, register)
    settings = load_config(
        config, [*(overrides or []), *([] if seed is None else [f"seed={seed}"])]
    )
    if instant and router != GRAPH_ROUTER:
        raise ConfigError(
            f"--instant and --router {router} do not go together: baselines are fitted as they "
            "are. Leave one of them out."
        )
    settings = settings.without_training() if instant else settings
    if router != GRAPH_ROUTER:
        from graphrouter.bench.baselines.catalogue import find_baselines

        find_baselines([router])  # a wrong name is said before the data is read
    work_dir = check_places(out, fresh=not resume)
    if not evidence:
        from graphrouter.router.storage import check_holds_no_prompts

        check_holds_no_prompts(out)
    dataset, split = load_and_split(data, settings)
    if not as_json:
        show_data(dataset, split)
    with begin_run(tracking, f"train {out.name}", command="train") as tracked:
        from graphrouter.tracking.training_log import EpochMetrics, log_result, log_setup

        log_setup(tracked, settings, dataset, split, router=router)
        run: TrainingRun[Any]
        if router == GRAPH_ROUTER:
            callbacks = [EpochMetrics(tracked)] if tracked.is_on else []
            with _say_what_is_kept(work_dir):
                run = train_router(
                    dataset,
                    split,
                    settings,
                    out=out,
                    work_dir=work_dir,
                    callbacks=callbacks,
                    evidence=evidence,
                )
        else:
            run = fit_baseline(router, dataset, split, settings, out=out)
        registered = log_result(
            tracked, out, metrics=run.metrics, seconds=run.seconds, register=register
        )
    if as_json:
        extra = {} if registered is None else {"registered": registered}
        print_json(_report(run, dataset, split, out) | extra)
        return
    show = show_run if router == GRAPH_ROUTER else _show_baseline
    show(run, out)
    if registered is not None:
        say_line(f"Registered  {registered}")
    say("\nNext:")
    if router == GRAPH_ROUTER:
        say_line(f"  graphrouter evaluate {shlex.quote(str(out))} {shlex.quote(data)}")
    say_line(f"  graphrouter route {shlex.quote(str(out))} 'your prompt'")


def check_places(out: Path, *, fresh: bool) -> Path:
    """The folder for checkpoints, once it is sure that the artifact can be written.

    Emptied for a fresh start.

    Raises:
        ArtifactError: One of the two folders holds something else.
        BusyError: Another training is going on there.
    """
    with show_working("Loading libraries"):
        from graphrouter.artifact import check_writable
        from graphrouter.locks import LOCK_FILES, lock_folder
        from graphrouter.training.checkpoints import RUN_FILE, discard_run

    check_writable(out)
    place = out.resolve()
    work_dir = place.with_name(f"{place.name}.training")
    if (
        work_dir.exists()
        and not (work_dir / RUN_FILE).is_file()
        and (
            not work_dir.is_dir() or any(path.name not in LOCK_FILES for path in work_dir.iterdir())
        )
    ):
        raise ArtifactError(
            f"{work_dir} is needed for checkpoints but holds something else. Move it away, or "
            "choose another --out."
        )
    if work_dir.is_dir():
        with lock_folder(work_dir, wait_s=0):  # said now, and not when the data is read
            if fresh:
                discard_run(work_dir)
    return work_dir


def load_and_split(data: str, settings: TrainConfig) -> tuple[RoutingDataset, Split]:
    """The dataset and its division.

    Raises:
        DataError: The dataset breaks the contract, or is too small to divide.
    """
    from graphrouter.data import load_dataset, split_dataset
    from graphrouter.data.assignment import warn_of_assignment

    with show_working("Reading the data"):
        dataset = load_dataset(data)
        warn_of_assignment(dataset)
        return dataset, split_dataset(dataset, settings.split)


def train_router(
    dataset: RoutingDataset,
    split: Split,
    settings: TrainConfig,
    *,
    out: Path,
    work_dir: Path,
    callbacks: Sequence[Callback] = (),
    evidence: bool = True,
) -> TrainingRun[GraphRouter]:
    """A trained router, saved in `out`, with progress bars on standard error."""
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.training.checkpoints import discard_run

    start = time.perf_counter()
    with guard_output() as progress:
        router = GraphRouter.fit(
            dataset,
            settings,
            split=split,
            work_dir=work_dir,
            progress=progress,
            callbacks=callbacks,
        )
    router.save(out, evidence=None if evidence else False)
    with suppress(BusyError):  # somebody else has begun there
        discard_run(work_dir)  # only now: whatever stops the saving does not cost the training
    return TrainingRun(router, time.perf_counter() - start, router.provenance.metrics)


@contextmanager
def _say_what_is_kept(work_dir: Path) -> Iterator[None]:
    """Say of an interrupted training where its checkpoints are."""
    try:
        yield
    except KeyboardInterrupt:
        error_console.out(
            f"What was learned is kept in {work_dir}; the same command goes on from there.",
            highlight=False,
        )
        raise


def fit_baseline(
    name: str, dataset: RoutingDataset, split: Split, settings: TrainConfig, *, out: Path
) -> TrainingRun[Router]:
    """A fitted baseline, saved in `out`."""
    from graphrouter.bench.baselines import find_router

    start = time.perf_counter()
    with show_working(f"Fitting {name}"):
        router = find_router(name).fit(dataset, settings, split=split)
        router.save(out)
    return TrainingRun(router, time.perf_counter() - start, {})


def show_data(dataset: RoutingDataset, split: Split) -> None:
    """Write what is learned from."""
    from graphrouter.data.learnable import count_missing_outcomes

    queries = f"{count_of(len(dataset.queries), 'query')} of {count_of(len(dataset.tasks), 'task')}"
    say(f"Data        {dataset.name}")
    say(
        f"            {queries}, {count_of(len(dataset.models), 'model')}, "
        f"{count_of(len(dataset.outcomes), 'outcome')}{describe_ungraded(dataset)}"
    )
    say(
        f"Split       {len(split.train):,} train, {len(split.validation):,} validation, "
        f"{count_of(len(split.test), 'test query')}"
    )
    if len(split.train) < SMALL:
        say(
            f"Note        with fewer than {SMALL} training queries there is little to learn, and "
            "little to check it with"
        )
    missing = count_missing_outcomes(dataset, [*split.train, *split.validation])
    if missing:
        told = describe_missing(missing, len(dataset.models))
        say_line(f"Note        {told}, test queries not counted")
    if split.held_out_models:
        say(
            f"Held out    {count_of(len(split.held_out_models), 'model')}: "
            f"{', '.join(split.held_out_models)}"
        )


def show_run(run: TrainingRun[Any], out: Path) -> None:
    """Write what training reached and where the artifact lies."""
    from graphrouter.artifact import read_manifest

    metrics = run.metrics
    is_trained = run.router.learned.config.training.max_epochs > 0
    best = f", best after epoch {metrics['best_epoch']:.0f}" if "best_epoch" in metrics else ""
    if is_trained and metrics.get("best_epoch") == 0:
        best = ", but no better than the start values, which stay"
    shown = ", ".join(
        f"{title} {metrics[name]:.4f}" for name, title in SHOWN_METRICS.items() if name in metrics
    )
    num_bytes = sum(entry["num_bytes"] for entry in read_manifest(out)["files"].values())
    if is_trained:
        say(f"Trained     in {run.seconds:.0f} s{best}")
    else:
        say(f"Instant     in {run.seconds:.1f} s: nothing trained, intervals not calibrated")
    if shown:
        say(f"Validation  {shown}")
    if "ece_before" in metrics:
        is_identity = run.router.calibration.is_identity
        say(f"Calibration {_describe_calibration(metrics, is_identity=is_identity)}")
    share = run.router.policy_context.deviation_share
    if share < 1:
        say_line(f"Choices     {describe_share(share)}")
    say(f"Cost        {SPEND_IN_WORDS[run.router.spend_unit.value]}")
    for model, notes in _describe_bills(run.router).items():
        for note in notes:
            say_line(f"            model {model}: {note}")
    say_line(f"Artifact    {out} ({num_bytes / 1e6:.1f} MB)")
    say_kept(out)


def _describe_bills(router: GraphRouter) -> dict[str, tuple[str, ...]]:
    """What is corrected and left out of the costs of each model; models without are absent."""
    return router.bills.describe(router.pool.prices)


def _describe_calibration(metrics: Mapping[str, float], *, is_identity: bool) -> str:
    before = f"expected calibration error {metrics['ece_before']:.4f}"
    if is_identity:
        return (
            f"{before}; effects stay as they are: no correction lowers the log loss by more "
            "than noise"
        )
    return (
        f"{before}, corrected {metrics['ece_after']:.4f}; log loss corrected "
        f"{metrics['log_loss_calibrated']:.4f}"
    )


def _show_baseline(run: TrainingRun[Any], out: Path) -> None:
    """Write what was fitted, after whom, and where the artifact lies."""
    say(f"Fitted      {run.router.name} in {run.seconds:.1f} s")
    say_line(f"Source      {run.router.source}")
    if run.router.reads_answers:
        say(
            "Note        route and predict call no models, so they choose by training means; "
            "benchmark replays the cascade"
        )
    say_line(f"Artifact    {out}")
    say_kept(out)


def _report(
    run: TrainingRun[Any], dataset: RoutingDataset, split: Split, out: Path
) -> dict[str, Any]:
    """What `--json` prints; metrics are those of the graph router's validation."""
    is_graph_router = run.router.name == GRAPH_ROUTER
    return {
        "artifact": out,
        **({} if is_graph_router else {"router": run.router.name}),
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "num_queries": {
            name: len(getattr(split, name)) for name in ("train", "validation", "test")
        },
        "num_models": len(run.router.pool),
        **(
            {"metrics": run.metrics, "bills": _describe_bills(run.router)}
            if is_graph_router
            else {}
        ),
        "seconds": round(run.seconds, 2),
    }
