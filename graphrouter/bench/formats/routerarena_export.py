"""What RouterArena asks of a router.

One predicted model a query, and a config that names the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrouter.bench.formats.source_files import read_json, read_json_objects, require_columns
from graphrouter.exceptions import DataError

SIZES = {809: "sub_10", 8400: "full", 420: "robustness"}
"""Name of RouterArena's query sets by their number of queries."""
_FORM = "RouterArena's queries (router_data.json)"


@dataclass(frozen=True)
class ArenaQuery:
    """A query of RouterArena."""

    global_index: str
    prompt: str
    """`prompt_formatted`, which a prediction must repeat letter by letter."""


def read_arena_queries(file: Path) -> list[ArenaQuery]:
    """The queries in RouterArena's JSON file, in its order.

    Raises:
        DataError: The file is missing or empty, a key is missing, or an index occurs twice.
    """
    if not file.is_file():
        raise DataError(f"There is no file {file}; expected {_FORM}.")
    entries = read_json_objects(read_json(file), file)
    if not entries:
        raise DataError(f"{file} holds no queries; expected {_FORM}.")
    queries: dict[str, ArenaQuery] = {}
    for row, entry in enumerate(entries, start=1):
        require_columns(entry, ("global index", "prompt_formatted"), file, form=_FORM)
        query = ArenaQuery(str(entry["global index"]), entry["prompt_formatted"])
        if not isinstance(query.prompt, str) or not query.prompt:
            raise DataError(
                f"{file}, row {row}: prompt_formatted is {query.prompt!r}; expected text."
            )
        if query.global_index in queries:
            raise DataError(
                f"{file}, row {row}: global index {query.global_index!r} occurs before. Drop one "
                "of the two."
            )
        queries[query.global_index] = query
    return list(queries.values())


def make_prediction_entries(
    queries: Sequence[ArenaQuery], chosen: Sequence[str]
) -> list[dict[str, Any]]:
    """RouterArena's prediction entries.

    Answer, cost and accuracy are null until its own scripts fill them in.

    Args:
        queries: What was asked.
        chosen: Model chosen for each query, in the same order.

    Raises:
        DataError: The lengths differ.

    Example:
        >>> make_prediction_entries([ArenaQuery("AIME_1", "Find x.")], ["nano"])[0]["prediction"]
        'nano'
    """
    if len(queries) != len(chosen):
        raise DataError(
            f"make_prediction_entries received {len(queries)} queries and {len(chosen)} choices; "
            "expected one a query."
        )
    return [
        {
            "global index": query.global_index,
            "prompt": query.prompt,
            "prediction": model,
            "generated_result": None,
            "cost": None,
            "accuracy": None,
        }
        for query, model in zip(queries, chosen, strict=True)
    ]


def make_router_config(
    name: str, models: Sequence[str], *, class_name: str = "GraphRouter"
) -> dict[str, Any]:
    """RouterArena's config of a router.

    Args:
        name: Name of the router, which the prediction file must bear as well.
        models: Names of the models it chooses among, as RouterArena knows them.
        class_name: Class in RouterArena's own tree that stands for the router.

    Example:
        >>> make_router_config("mine", ["nano", "grand"])["pipeline_params"]["models"]
        ['nano', 'grand']
    """
    return {
        "pipeline_params": {
            "router_name": name,
            "router_cls_name": class_name,
            "models": list(models),
        }
    }
