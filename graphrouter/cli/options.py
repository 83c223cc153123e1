"""Arguments and options that several commands share, and the policy that they describe."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from graphrouter.cli.data import DATA_HELP
from graphrouter.policy import PRESETS, Policy, parse_policy
from graphrouter.tracking import Tracking
from graphrouter.tracking.store_connection import DEFAULT_EXPERIMENT

_POLICY_PANEL = "Policy"
_TRACKING_PANEL = "Tracking with MLflow"

Artifact = Annotated[
    Path, typer.Argument(metavar="ARTIFACT", help="Folder of a trained router.", show_default=False)
]
Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP, show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Write only JSON to standard output.")]
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


def tracking_of(
    track: bool, uri: str | None, experiment: str | None, register: str | None = None
) -> Tracking | None:
    """Where to log runs; None when nothing asks for it.

    Raises:
        BadParameter: A name is empty, or MLflow has no place for it.
        ConfigError: The URI is a folder.
    """
    from graphrouter.tracking.mlflow_store import store_uri

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
    store_uri(uri)
    return Tracking(uri, experiment or DEFAULT_EXPERIMENT)


def baseline_names(text: str) -> list[str]:
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


def command_line(
    words: Sequence[str], *, config: Path | None = None, overrides: Sequence[str] | None = None
) -> str:
    """The command that made something, to be written beside it."""
    settings = [
        *([] if config is None else ["--config", str(config)]),
        *(w for text in overrides or [] for w in ("--set", text)),
    ]
    return shlex.join(["graphrouter", *words, *settings])


class Preset(StrEnum):
    """The weights of the GraphRouter paper, by name."""

    performance_first = "performance_first"
    balanced = "balanced"
    cost_first = "cost_first"


class RiskName(StrEnum):
    """Which end of the interval of effect counts."""

    LOWER = "lower"
    EXPECTED = "expected"
    UPPER = "upper"


class Capability(StrEnum):
    """What a model card can state."""

    tools = "tools"
    vision = "vision"
    json = "json"


PresetOption = Annotated[
    Preset | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help=f"Named weights: {', '.join(PRESETS)}. Without any policy: balanced.",
        rich_help_panel=_POLICY_PANEL,
        show_default=False,
    ),
]
EffectWeight = Annotated[
    float | None,
    typer.Option(
        "--effect-weight",
        help="Weight of the expected effect; the cost gets the rest of 1.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
CostWeight = Annotated[
    float | None,
    typer.Option(
        "--cost-weight",
        help="Weight of the scaled cost; the effect gets the rest of 1.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
UsdPerEffect = Annotated[
    float | None,
    typer.Option(
        "--usd-per-effect",
        help="What one more solved query is worth to you, in US dollars.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
MaxCostUsd = Annotated[
    float | None,
    typer.Option(
        "--max-cost-usd", help="Most expected US dollars a call.", rich_help_panel=_POLICY_PANEL
    ),
]
MinEffect = Annotated[
    float | None,
    typer.Option(
        "--min-effect",
        help="Take the cheapest model with at least this expected effect.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
MaxLatencyS = Annotated[
    float | None,
    typer.Option(
        "--max-latency-s",
        help="Most expected seconds to the end of the answer.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="MODEL",
        help="Only this model; repeat for more.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="MODEL",
        help="Never this model; repeat for more.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
Require = Annotated[
    list[Capability] | None,
    typer.Option(
        "--require",
        help="Only models whose card states this; repeat for more.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
Fallback = Annotated[
    str | None,
    typer.Option(
        "--fallback",
        metavar="MODEL",
        help="Model to take when nobody satisfies the policy; an error by default.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
Risk = Annotated[
    RiskName | None,
    typer.Option(
        "--risk",
        metavar="END",
        help="Which end of the interval of effect counts: lower (cautious), expected, or upper "
        "(tries newcomers).",
        rich_help_panel=_POLICY_PANEL,
        show_default=False,
    ),
]
SafeModel = Annotated[
    str | None,
    typer.Option(
        "--safe-model",
        metavar="MODEL",
        help="Model to take when too little is known of the one that is best.",
        rich_help_panel=_POLICY_PANEL,
    ),
]
MaxDoubt = Annotated[
    float | None,
    typer.Option(
        "--max-doubt",
        help="Width of the interval of effect above which --safe-model is taken; 0.3 without it.",
        rich_help_panel=_POLICY_PANEL,
    ),
]


def build_policy(preset: Preset | None, settings: Mapping[str, Any]) -> Policy:
    """The policy that the options ask for.

    Args:
        preset: Named weights.
        settings: Fields of `Policy` by name; None and empty values count as not given.

    Raises:
        PolicyError: A value is not accepted.
        BadParameter: A preset and a weight are both given.
    """
    given = {name: value for name, value in settings.items() if value is not None and value != []}
    weights = [name for name in ("effect_weight", "cost_weight") if name in given]
    if preset is not None:
        if weights:
            option = f"--{weights[0].replace('_', '-')}"
            raise typer.BadParameter(
                f"--preset {preset.value} and {option} both set the weights; give one of them"
            )
        given["effect_weight"], given["cost_weight"] = PRESETS[preset.value]
    return parse_policy(given)


def describe_policy(policy: Policy) -> str:
    """The policy in words: what it maximises, then what it respects.

    Example:
        >>> describe_policy(Policy(cost_weight=0, risk="lower", safe_model="grand"))
        'the highest lower end of the effect; grand where the interval of the best is wider than 0.3'
    """
    is_expected = policy.risk == "expected"
    counted = "effect" if is_expected else f"{policy.risk} end of the effect"
    wanted = (
        "an expected effect"
        if is_expected
        else f"a{'n' if policy.risk == 'upper' else ''} {counted}"
    )
    effect, cost = f"{policy.effect_weight:g} x {counted}", f"{policy.cost_weight:g} x scaled cost"
    if policy.min_effect is not None:
        goal = f"the lowest cost among models with {wanted} of at least {policy.min_effect:g}"
    elif policy.usd_per_effect is not None:
        goal = f"the highest {counted} - cost / {policy.usd_per_effect:g} USD"
    elif policy.cost_weight == 0:
        goal = f"the highest {'expected effect' if is_expected else counted}"
    else:
        goal = f"the highest {effect} - {cost}"
    limits = [
        f"at most {policy.max_cost_usd:g} USD a call" if policy.max_cost_usd is not None else "",
        f"at most {policy.max_latency_s:g} s" if policy.max_latency_s is not None else "",
        f"only {', '.join(policy.allowed)}" if policy.allowed is not None else "",
        f"never {', '.join(policy.excluded)}" if policy.excluded else "",
        f"with {', '.join(policy.requires)}" if policy.requires else "",
        f"{policy.safe_model} where the interval of the best is wider than {policy.max_doubt:g}"
        if policy.safe_model
        else "",
    ]
    return "; ".join([goal, *(limit for limit in limits if limit)])
