"""What the commands of `graphrouter pool` read and write: routers, model cards, outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrouter.cli.progress import working
from graphrouter.cli.render import say, say_line
from graphrouter.exceptions import ArtifactError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.pool import ModelCard
    from graphrouter.router.graph_router import GraphRouter


def load_router(artifact: Path) -> GraphRouter:
    """The graph router in a folder."""
    from graphrouter.router.graph_router import GraphRouter

    with working("Loading the router"):
        return GraphRouter.load(artifact)


def save_router(router: GraphRouter, out: Path, what: str) -> None:
    """Nothing; writes the router, and says what was done and where it lies.

    Raises:
        ArtifactError: It was read from MLflow, where a version is never changed, and no folder is
            named.
    """
    from graphrouter.artifact import is_registry_uri

    if is_registry_uri(out):
        raise ArtifactError(
            f"{out} is a version in MLflow, which stays as it is. Name a folder with --out."
        )
    router.save(out)
    say(f"{what}.")
    say_line(f"Artifact    {out}")


def plain_card(card: ModelCard) -> dict[str, Any]:
    """What the card states, under the names of its file."""
    return card.model_dump(by_alias=True, exclude_none=True)


def read_card(file: Path) -> ModelCard:
    """The card in a file.

    Raises:
        DataError: There is no such file, it is no mapping, or a field is not accepted.
    """
    import yaml

    from graphrouter.pool import parse_card

    if not file.is_file():
        raise DataError(
            f"There is no file {file}; expected a card as .yaml or .json, with model, description "
            "and prices."
        )
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read ({reason}). Write it as YAML or JSON.") from None
    if not isinstance(values, dict):
        raise DataError(
            f"{file} holds a {type(values).__name__}; expected fields: model, description, "
            "prices, ..."
        )
    return parse_card(values, source=file.name)


def read_outcomes(file: Path) -> pd.DataFrame:
    """The outcomes in a file, numbers read from text."""
    import pandas as pd

    from graphrouter.data.table_files import read_table

    table = read_table(file)
    if "effect" not in table.columns:
        there = ", ".join(str(name) for name in table.columns) or "none"
        raise DataError(
            f"{file} has no column effect (columns: {there}). Add your grade of each answer, from "
            "0 to 1."
        )
    return pd.DataFrame(table)
