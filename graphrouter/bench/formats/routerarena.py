"""RouterArena (Lu et al. 2025, arXiv 2510.00202).

Prediction files of routers, beside the queries, prices and router configs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.bench.formats.assemble import assemble, parse_outcome_numbers, parse_prompts
from graphrouter.bench.formats.left_out import find_failed, tell_failed, tell_unread
from graphrouter.bench.formats.source_files import find_files, read_json, read_json_objects
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError
from graphrouter.types import FloatArray

logger = logging.getLogger(__name__)
_FORM = (
    "RouterArena prediction files (.json lists of objects with 'global index', 'prompt' and "
    "'prediction')"
)
_ANSWERED_BY = ("model_used", "llm_selected")
_READ = ("success", "error", "total_tokens", *_ANSWERED_BY)
_PERTURBED = "robustness"
"""Word in the names of files whose prompts are perturbed copies of others."""
_PRICES = {
    "input_token_price_per_million": "input_usd_per_mtok",
    "output_token_price_per_million": "output_usd_per_mtok",
}


@dataclass
class _Found:
    """What the files of a folder hold, by what it is."""

    predictions: dict[Path, list[dict[str, Any]]] = field(default_factory=dict)
    queries: dict[Path, list[dict[str, Any]]] = field(default_factory=dict)
    prices: dict[str, dict[str, Any]] = field(default_factory=dict)
    pools: dict[str, list[str]] = field(default_factory=dict)
    """Models of each router's config, by the name of its file."""


def read_routerarena(source: Path) -> RoutingDataset:
    """The dataset in RouterArena's prediction files.

    An entry is one answer of the model in `generated_result.model_used`, or of that in `prediction`
    where it is not stated: `accuracy` becomes effect (null = not graded, no outcome), `cost`
    cost_usd, `generated_result.token_usage` the token counts. What `total_tokens` has beyond both
    is reasoning, and counts as completion. A call with `success: false` is no outcome.
    RouterArena writes cost 0 where it knows no price, so 0 counts as not recorded. Entries for the
    optimality metrics are outcomes like the others. `global index` is the query and, without its
    number, the task. Answers are left out, and so are files of perturbed prompts (`robustness` in
    the name).

    Args:
        source: One prediction file, or a folder with prediction files and perhaps the queries
            (`prompt_formatted`), the prices (`cost.json`) and the configs of those routers, whose
            models that never answered stay as newcomers. A router's file holds one outcome a query,
            so several together say more.

    Raises:
        DataError: No file has the form, a key is missing, a value is out of range, or two files
            disagree on a prompt.
    """
    found = _Found()
    for file in find_files(source, (".json",), wanted=_FORM):
        if source.is_file() or _PERTURBED not in file.stem:
            _sort_files(file, read_json(file), found)
    if not found.predictions:
        raise DataError(
            f"{source} has no prediction file. Expected {_FORM}; the queries alone carry no "
            "outcomes."
        )
    prompts: dict[str, str | None] = {}
    for file, entries in found.queries.items():
        _add_prompts(
            prompts,
            file,
            _find_index(entries, file),
            [entry["prompt_formatted"] for entry in entries],
        )
    outcomes = pd.concat(
        [_read_outcomes(file, entries, prompts) for file, entries in found.predictions.items()],
        ignore_index=True,
    )
    places = {index: row for row, index in enumerate(prompts)}
    outcomes["query"] = outcomes["query"].map(places)
    queries = pd.DataFrame(
        {
            "query_id": list(prompts),
            "task": [index.rsplit("_", 1)[0] for index in prompts],
            "prompt": pd.Series(list(prompts.values()), dtype=object),
        }
    )
    return assemble(
        queries, outcomes, name="routerarena", models=_make_cards(found, outcomes["model"])
    )


def _sort_files(file: Path, value: Any, found: _Found) -> None:
    """Put the value where it belongs, or nowhere."""
    first = next(iter(value), None) if isinstance(value, list) else None
    if isinstance(first, dict) and "prediction" in first:
        found.predictions[file] = read_json_objects(value, file)
    elif isinstance(first, dict) and "prompt_formatted" in first:
        found.queries[file] = read_json_objects(value, file)
    elif isinstance(value, dict) and isinstance(value.get("pipeline_params"), dict):
        found.pools[file.stem] = [
            str(model) for model in value["pipeline_params"].get("models", [])
        ]
    elif isinstance(value, dict):
        found.prices.update(
            {
                name: card
                for name, card in value.items()
                if isinstance(card, dict) and _PRICES.keys() & card.keys()
            }
        )


def _find_index(entries: list[dict[str, Any]], file: Path) -> list[str]:
    """The global index of each entry, which older files write with an underscore."""
    found = []
    for row, entry in enumerate(entries, start=1):
        index = entry.get("global index") or entry.get("global_index")
        if not index:
            raise DataError(
                f"{file}, row {row}: 'global index' is missing (found: {', '.join(entry)}). "
                f"Expected {_FORM}."
            )
        found.append(str(index))
    return found


def _add_prompts(
    prompts: dict[str, str | None], file: Path, indices: list[str], texts: list[Any]
) -> None:
    """Add the new queries of a file to `prompts`."""
    for row, (index, text) in enumerate(zip(indices, parse_prompts(texts), strict=True), start=1):
        if prompts.setdefault(index, text) != text:
            raise DataError(
                f"{file}, row {row}: {index!r} has another prompt than in an earlier file. Keep "
                "files of one version together."
            )


def _read_outcomes(
    file: Path, entries: list[dict[str, Any]], prompts: dict[str, str | None]
) -> pd.DataFrame:
    """Outcomes of one prediction file, `query` being the global index.

    `prompts` gains its queries.
    """
    indices = _find_index(entries, file)
    for row, entry in enumerate(entries, start=1):
        for key in ("prompt", "prediction"):
            if not entry.get(key):
                raise DataError(
                    f"{file}, row {row}: {key!r} is missing or empty. Expected {_FORM}."
                )
    _add_prompts(prompts, file, indices, [entry["prompt"] for entry in entries])
    results = [_keep_object(entry.get("generated_result")) for entry in entries]
    failed = find_failed(results)
    tell_failed(failed, file)
    for part in (entries, results):
        tell_unread({name for row in part for name in row}, _READ, file)
    cost = parse_outcome_numbers(
        [entry.get("cost") for entry in entries], file, "cost_usd", called="cost"
    )
    effect = parse_outcome_numbers(
        [entry.get("accuracy") for entry in entries], file, "effect", called="accuracy"
    )
    outcomes = pd.DataFrame(
        {
            "query": indices,
            "model": _find_who_answered(entries, results, file),
            "effect": np.where(failed, np.nan, effect),
            "cost_usd": np.where(cost > 0, cost, np.nan),
        }
    )
    return outcomes.assign(**_read_tokens(results, file, is_costed=bool((cost > 0).any())))


def _keep_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _find_who_answered(
    entries: list[dict[str, Any]], results: list[dict[str, Any]], file: Path
) -> list[str]:
    """The model of each answer: `model_used` where it is stated, else the one that was predicted.

    A router may predict one model and another one answer, as when the first cannot be reached.
    """
    predicted = [str(entry["prediction"]) for entry in entries]
    answered = []
    for entry, result, model in zip(entries, results, predicted, strict=True):
        stated = (row.get(name) for row in (result, entry) for name in _ANSWERED_BY)
        answered.append(next((name for name in stated if isinstance(name, str) and name), model))
    others = [pair for pair in zip(predicted, answered, strict=True) if pair[0] != pair[1]]
    if others:
        logger.warning(
            "%s: %d answers are of another model than the one that was predicted (%r for %r), and "
            "count for the model that answered.",
            file.name,
            len(others),
            others[0][1],
            others[0][0],
        )
    return answered


def _read_tokens(
    results: list[dict[str, Any]], file: Path, *, is_costed: bool
) -> dict[str, FloatArray]:
    """Tokens of prompt and completion; what the total has beyond both is hidden reasoning.

    Providers bill that as completion. 0 tokens of prompt and completion are none that were counted.
    """
    usage = [_keep_object(result.get("token_usage")) for result in results]
    read = {
        field: parse_outcome_numbers([row.get(field) for row in usage], file, name, called=field)
        for field, name in (
            ("input_tokens", "input_tokens"),
            ("output_tokens", "output_tokens"),
            ("total_tokens", "output_tokens"),
        )
    }
    prompt, completion, total = read.values()
    counted = ~((prompt == 0) & (completion == 0))
    hidden = np.where(np.isnan(total), 0, total - prompt - completion)
    has_hidden = counted & (hidden > 0)
    if has_hidden.any():
        logger.warning(
            "%s: %d answers have more total_tokens than prompt and completion, up to %d; these are "
            "reasoning, and count as completion.%s",
            file.name,
            int(has_hidden.sum()),
            int(hidden[has_hidden].max()),
            " The costs stated stay as they are." if is_costed else "",
        )
    return {
        "input_tokens": np.where(counted, prompt, np.nan),
        "output_tokens": np.where(counted, completion + np.where(has_hidden, hidden, 0), np.nan),
    }


def _make_cards(found: _Found, answered: pd.Series) -> pd.DataFrame:
    """A row for each model that answered or stands in a router's config, priced where stated."""
    pooled = [model for file in found.predictions for model in found.pools.get(file.stem, [])]
    names = list(dict.fromkeys([*answered, *pooled]))
    prices = {
        ours: [found.prices.get(name, {}).get(theirs) for name in names]
        for theirs, ours in _PRICES.items()
        if found.prices
    }
    return pd.DataFrame({"model": names, **prices})
