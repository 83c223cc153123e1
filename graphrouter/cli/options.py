"""Arguments and options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.tracking import Tracking
from graphrouter.tracking.store_connection import DEFAULT_EXPERIMENT

if TYPE_CHECKING:
    from graphrouter.processes import Spread

DATA_HELP = (
    "Folder with queries, models, outcomes (and perhaps tasks) as .parquet, .csv or "
    ".jsonl; or one such file with prompt, model and effect in a row; or the name simulated."
)
_TRACKING_PANEL = "Tracking with MLflow"

Artifact = Annotated[
    Path, typer.Argument(metavar="ARTIFACT", help="Folder of a trained router.", show_default=False)
]
DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
"""Forms of a moment, in UTC."""
StorePlace = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="Store of a gateway: a file, or postgresql://user@host/name.",
        show_default=False,
    ),
]
SearchRecall = Annotated[
    float | None,
    typer.Option(
        "--search-recall",
        metavar="SHARE",
        help="Find this share of the similar solved queries, such as 0.97, by an index (extra "
        "index): faster from 16,384 of them on. All are compared without.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write only JSON to standard output.")]


BUDGET_PANEL = "Budget"
MaxCalls = Annotated[
    list[str] | None,
    typer.Option(
        "--max-calls",
        metavar="MODEL=N",
        help="Most calls of a model, such as tarn-grand=100. Repeat for more.",
        rich_help_panel=BUDGET_PANEL,
        show_default=False,
    ),
]


class Engine(StrEnum):
    """Where predictions are computed."""

    local = "local"
    ray = "ray"


WhichEngine = Annotated[
    Engine, typer.Option("--engine", help="Where to compute: here, or on a Ray cluster.")
]
CellEngine = Annotated[
    Engine,
    typer.Option(
        "--engine",
        help="Where cells are run: in processes here, or on a Ray cluster, which sees DATA and OUT "
        "under the same paths.",
    ),
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes",
        min=1,
        help="Work in so many processes here, each with a copy of the router; for long files.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Workers of --engine ray.")]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="Ray cluster to work on, such as auto; one on this machine without it.",
        show_default=False,
    ),
]
Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP, show_default=False)]
JsonFile = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write all figures to FILE as JSON; - writes only JSON to standard output.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, help="Processes at once; one a core by default.", show_default=False
    ),
]
Draws = Annotated[int, typer.Option("--draws", min=10, help="Bootstrap draws.")]


def check_processes(number: int) -> None:
    """Check that --engine ray, which has workers, is not asked for processes here.

    Raises:
        typer.BadParameter: It is.
    """
    if number != 1:
        raise typer.BadParameter("--engine ray takes no --processes; its workers are --workers")


def choose_spread(engine: Engine, address: str | None) -> Spread:
    """Over what the cells of a comparison are spread."""
    from graphrouter.processes import THREAD_VARIABLES, spread

    if engine is Engine.local:
        return spread
    from graphrouter.engines import spread_on_ray

    # As in the processes here: several threads a process would fight.
    return partial(spread_on_ray, address=address, variables=dict.fromkeys(THREAD_VARIABLES, "1"))


RunFolder = Annotated[
    Path, typer.Option("--out", help="Folder for finished cells, embeddings and results.")
]
_WHICH = (
    "quick (best_single, task_mean, rasch, knn), all, or names such as knn,avengers_pro; "
    "best_single and task_mean always stand "
    "there. The names: graphrouter benchmark --list."
)
Baselines = Annotated[
    str, typer.Option("--baselines", metavar="NAMES", help=f"What to compare with: {_WHICH}")
]
Routers = Annotated[
    str,
    typer.Option(
        "--routers", metavar="NAMES", help=f"What to compare the graph router with: {_WHICH}"
    ),
]

Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
]
RoutesFile = Annotated[
    Path | None,
    typer.Option(
        "--routes",
        metavar="FILE",
        help="Named routes as .yaml or .json. A prompt of a route with a policy is routed by "
        "that alone, and the options of the policy do not count, which is told; one of a route "
        "with models by the options, among those models; one of no route by the options.",
        rich_help_panel="Policy",
        show_default=False,
    ),
]

Track = Annotated[
    bool,
    typer.Option(
        "--track",
        help="Log settings, figures and files to MLflow; implied by the options below.",
        rich_help_panel=_TRACKING_PANEL,
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="Server or database; without it that of MLFLOW_TRACKING_URI, or else sqlite:///mlflow.db.",
        rich_help_panel=_TRACKING_PANEL,
        show_default=False,
    ),
]
Experiment = Annotated[
    str | None,
    typer.Option(
        "--experiment",
        metavar="NAME",
        help=f"Experiment of the run; {DEFAULT_EXPERIMENT} by default.",
        rich_help_panel=_TRACKING_PANEL,
        show_default=False,
    ),
]
Register = Annotated[
    str | None,
    typer.Option(
        "--register",
        metavar="NAME",
        help="Also register the router under this name, as a model that MLflow serves.",
        rich_help_panel=_TRACKING_PANEL,
        show_default=False,
    ),
]


def read_tracking(
    track: bool, uri: str | None, experiment: str | None, register: str | None = None
) -> Tracking | None:
    """Where to log runs; None when nothing asks for it.

    Raises:
        BadParameter: A name is empty, or MLflow has no place for it.
        ConfigError: The URI is a folder.
    """
    from graphrouter.tracking.mlflow_store import find_store

    if not (track or any(given is not None for given in (uri, experiment, register))):
        return None
    if uri is not None and not uri.strip():
        raise typer.BadParameter(
            "--tracking-uri is empty; expected a server or a database, such as sqlite:///mlflow.db"
        )
    if experiment is not None and not experiment.strip():
        raise typer.BadParameter("--experiment is empty; expected a name")
    if register is not None and (not register.strip(" .") or set("/:") & set(register)):
        raise typer.BadParameter(
            f"--register received {register!r}; expected a name without '/' and ':'"
        )
    find_store(uri)
    return Tracking(uri, experiment or DEFAULT_EXPERIMENT)


def read_names(text: str) -> list[str]:
    """The baselines that an option names, groups written out.

    Raises:
        BadParameter: No name is given.
    """
    from graphrouter.bench.baselines import BASELINES, QUICK

    groups = {"all": list(BASELINES), "quick": list(QUICK)}
    words = [word.strip() for word in text.split(",")]
    if "" in words:
        raise typer.BadParameter(
            f"{text!r} has an empty name; expected all, quick, or names with commas between them"
        )
    return [name for word in words for name in groups.get(word, [word])]


def join_command(
    words: Sequence[str], *, config: Path | None = None, overrides: Sequence[str] | None = None
) -> str:
    """The command that made something, to be written beside it."""
    settings = [
        *([] if config is None else ["--config", str(config)]),
        *(w for text in overrides or [] for w in ("--set", text)),
    ]
    return shlex.join(["graphrouter", *words, *settings])


User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help="Who asks, as the column user names them; prompts of others are not quoted then.",
        show_default=False,
    ),
]
Team = Annotated[
    str | None,
    typer.Option("--team", metavar="NAME", help="Team of a user who is new.", show_default=False),
]
