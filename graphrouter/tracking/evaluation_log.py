"""What an evaluation or a benchmark leaves in MLflow: figures by setting and metric, reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrouter.bench.evaluation import Evaluation
from graphrouter.bench.evaluation.conclusion import conclude

if TYPE_CHECKING:
    from graphrouter.tracking.tracked_run import TrackedRun

REPORT = "report"
"""Name of the artifact folder with the reports."""


def collect_metrics(evaluation: Evaluation, router: str) -> dict[str, float]:
    """The figures of one router as `setting/metric`; NaN where one is undefined.

    Args:
        evaluation: What was found.
        router: A router of it, a baseline or the oracle.
    """
    return {
        f"{setting}/{metric}": interval.value
        for setting, result in evaluation.settings.items()
        for metric, interval in result.routers[router].items()
    }


def log_evaluation(
    run: TrackedRun, evaluation: Evaluation, *, params: Mapping[str, Any], files: Sequence[Path]
) -> None:
    """Log the figures of the evaluated router, what they say in words, and the reports.

    Args:
        run: Where.
        evaluation: What was found.
        params: How it was found.
        files: Reports.
    """
    run.set_tags(_make_tags(evaluation))
    run.log_params({**params, **_count(evaluation)})
    run.log_metrics(collect_metrics(evaluation, evaluation.router))
    run.describe(_describe([evaluation]))
    for file in files:
        run.log_files(file, folder=REPORT)


def log_benchmark(
    run: TrackedRun,
    evaluations: Sequence[Evaluation],
    *,
    params: Mapping[str, Any],
    files: Sequence[Path],
) -> None:
    """Log the reports and what they say in words.

    Below the run, one run for each router on each dataset, side by side.

    Args:
        run: Where.
        evaluations: One a dataset.
        params: How they were made.
        files: Reports and tables.
    """
    run.log_params(params)
    run.set_tags({"dataset.name": ", ".join(evaluation.dataset for evaluation in evaluations)})
    run.describe(_describe(evaluations))
    for file in files:
        run.log_files(file, folder=REPORT)
    for evaluation in evaluations:
        routers = next(iter(evaluation.settings.values())).routers
        for router in routers if run.is_on else ():
            name = router if len(evaluations) == 1 else f"{router} on {evaluation.dataset}"
            with run.open_child(name, tags={**_make_tags(evaluation), "router": router}) as child:
                child.log_params(_count(evaluation))
                child.log_metrics(collect_metrics(evaluation, router))


def _describe(evaluations: Sequence[Evaluation]) -> str:
    """The verdict on each dataset in each setting, as Markdown."""
    return "\n".join(
        f"- {evaluation.dataset}, {setting.replace('_', ' ')}: "
        f"{conclude(evaluation, setting=setting).text}"
        for evaluation in evaluations
        for setting in evaluation.settings
    )


def _make_tags(evaluation: Evaluation) -> dict[str, str]:
    return {"dataset.name": evaluation.dataset, "router": evaluation.router}


def _count(evaluation: Evaluation) -> dict[str, Any]:
    seeds = ", ".join(str(seed) for seed in evaluation.seeds)
    return {
        "dataset.name": evaluation.dataset,
        "num_queries": evaluation.num_queries,
        "num_models": evaluation.num_models,
        "split_seeds": seeds,
    }
