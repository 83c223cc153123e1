"""Variants of the settings, as a YAML file names them, and the cells that they make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation.benchmark import MAIN, CellResult, fit_and_ask
from graphrouter.bench.evaluation.grid import GridCell, PreparedSplit
from graphrouter.bench.evaluation.router_output import ORACLE
from graphrouter.config import TrainConfig, load_config
from graphrouter.exceptions import ConfigError
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router


def read_variants(file: Path, *, config: Path | None = None) -> dict[str, TrainConfig]:
    """Settings of each variant by name, `graphrouter` first.

    With the settings of `config` unless the file says otherwise.

    Args:
        file: A YAML mapping of names to mappings from dotted settings to values.
        config: Settings that all variants start from; the defaults without it.

    Raises:
        ConfigError: The file is no such mapping, a name is taken, or a setting is not accepted.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{file} cannot be read as YAML: {' '.join(str(error).split())}."
        ) from None
    if not isinstance(found, dict) or not all(
        isinstance(each, dict | None) for each in found.values()
    ):
        raise ConfigError(
            f"{file}: expected names with settings below them, such as `wide: {{network.width: "
            "64}`."
        )
    taken = sorted(str(name) for name in found if name in BASELINES or name == ORACLE)
    if taken:
        raise ConfigError(
            f"{file}: {taken[0]!r} is the name of a baseline. Give the variant another one."
        )
    changes: dict[str, Mapping[str, object]] = {
        MAIN: found.pop(MAIN, None) or {},
        **{n: each or {} for n, each in found.items()},
    }
    return {str(name): load_config(config, override_words(each)) for name, each in changes.items()}


def override_words(settings: Mapping[str, object]) -> list[str]:
    """The settings as `--set` takes them.

    Example:
        >>> override_words({"network.width": 64, "network.leave_out": ["doubt"]})
        ['network.width=64', 'network.leave_out=["doubt"]']
    """
    return [f"{key}={json.dumps(value)}" for key, value in settings.items()]


@dataclass(frozen=True)
class VariantCell(GridCell):
    """A variant of the graph router, or a baseline, on one split."""

    @property
    def has_network(self) -> bool:
        """False for a baseline."""
        return self.router not in BASELINES


def run_variant(cell: GridCell) -> CellResult:
    """The result of a cell, which is also kept in its file."""
    return fit_and_ask(cell, partial(_fit, cell))


def _fit(cell: GridCell, prepared: PreparedSplit) -> Router:
    return BASELINES.get(cell.router, GraphRouter).fit(prepared.view, cell.config)
