"""The settings of a training: the options that give them, and `graphrouter config`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from graphrouter.cli.console import console, print_json
from graphrouter.config import load_config

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="YAML file with settings; the defaults fill in the rest.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting, such as training.max_epochs=5; repeat for more.",
    ),
]

_HEADER = (
    "# All settings of `graphrouter train`. Keep the lines that you change; the defaults "
    "fill in the rest."
)


def config(
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON, without the meanings.")
    ] = False,
) -> None:
    """Print every setting with its meaning as YAML: the defaults, or those of a file and overrides.

    Example: graphrouter config > mine.yaml
    """
    settings = load_config(config, overrides or [])
    if as_json:
        print_json(settings.model_dump(mode="json"))
    else:
        console.out(format_settings(settings).rstrip("\n"), highlight=False)


def format_settings(settings: BaseModel) -> str:
    """The settings as YAML with a comment on every line; reading it gives the same settings."""
    return "\n".join([_HEADER, *_write_lines(settings, indent=0)]) + "\n"


def _write_lines(settings: BaseModel, *, indent: int) -> Iterator[str]:
    margin = " " * indent
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield f"{margin}{name}:  # {field.description}"
            yield from _write_lines(value, indent=indent + 2)
        else:
            scalar = yaml.safe_dump(value).removesuffix("...\n").strip()
            yield f"{margin}{name}: {scalar}  # {field.description}{_list_choices(field)}"


def _list_choices(field: FieldInfo) -> str:
    if get_origin(field.annotation) is not Literal:
        return ""
    return f" One of {', '.join(get_args(field.annotation))}."
