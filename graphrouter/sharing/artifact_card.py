"""The model card of an artifact: what it was trained on, what it can do and what it cannot.

After Mitchell and others, *Model Cards for Model Reporting* (2019, arXiv 1810.03993), with the
metadata that hubs of models read from the head of a README.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphrouter.artifact import ArtifactContents, read_artifact
from graphrouter.wording import count_of

_MOST_NAMES = 40
_GUIDE = """
## Use it

    pip install 'graphrouter[hub]'
    graphrouter pull {place} --out router
    graphrouter route router "Which of two primes is the larger one?"

## Meant for

Choosing, for each prompt, among the models above or models that are added to the pool later
(`graphrouter pool add`), by expected effect and cost.

## Not meant for

- Prompts unlike those it was trained on: the router says how familiar a prompt is
  (`familiarity`), and its intervals are wider there.
- Judging models in general: effects are those that the training data graded.
- Prices of another day: set them anew (`graphrouter pool set-price`) before costs count.
"""


def describe_artifact(folder: str | Path, *, place: str = "OWNER/NAME") -> str:
    """The card of the artifact in `folder`, Markdown with a head of YAML.

    All of it is read from the artifact: nothing is measured anew. Validation figures are those of
    the training.

    Args:
        folder: The artifact of a graph router or of a baseline.
        place: Where it will lie on the hub, `OWNER/NAME`.

    Raises:
        ArtifactError: There is no artifact, or it is damaged or of another format version.
    """
    contents = read_artifact(Path(folder))
    return "\n".join(_write(contents, place)) + "\n"


def _write(contents: ArtifactContents, place: str) -> Iterator[str]:
    said = contents.manifest
    kind = str(said.get("baseline", said["kind"]))
    yield "---\nlibrary_name: graphrouter\ntags:\n- llm-routing\n- graph-neural-network"
    yield f"- {kind}\n---\n"
    yield f"# {place.rpartition('/')[2]}\n"
    yield (
        f"A {kind}, made by graphrouter: it says which language model to ask a prompt, how good "
        "the answer will be and what it will cost.\n"
    )
    yield "| | |\n|---|---|"
    yield from (f"| {name} | {_escape(value)} |" for name, value in _list_facts(contents))
    yield from _list_models(contents)
    figures = said.get("metrics") or {}
    if figures:
        yield "\n## Validation figures of the training\n\n| figure | value |\n|---|---|"
        yield from (f"| {name} | {_show(value)} |" for name, value in sorted(figures.items()))
    yield _GUIDE.format(place=place)
    yield "## What it tells of its training data\n"
    yield _tell_of_prompts(contents)


def _list_facts(contents: ArtifactContents) -> Iterator[tuple[str, str]]:
    said = contents.manifest
    dataset, encoder = said.get("dataset"), said.get("encoder")
    if dataset:
        yield "data", f"{dataset['name']} (fingerprint {str(dataset['fingerprint'])[:12]})"
    if "num_queries" in said:
        yield (
            "support",
            f"{count_of(said['num_outcomes'], 'outcome')} of "
            f"{count_of(said['num_models'], 'model')} on {count_of(said['num_queries'], 'query')}",
        )
    if "tasks" in contents.tables:
        yield "tasks", _join(list(contents.tables["tasks"]["task"]))
    if encoder:
        yield "text encoder", f"{encoder['id']} ({encoder['dimension']} dimensions)"
    if said.get("changes"):
        yield "changed since its training", count_of(len(said["changes"]), "time")
    yield "format", f"{said['format_version']}, checksum {str(said['checksum'])[:12]}"


def _list_models(contents: ArtifactContents) -> Iterator[str]:
    if "pool" not in contents.tables:
        return
    yield "\n## Models\n\n| model | input, USD a million tokens | output |\n|---|---|---|"
    cards = [json.loads(card) for card in contents.tables["pool"]["card"]]
    for card in cards[:_MOST_NAMES]:
        yield f"| {_escape(card['model'])} | {_price(card, 'input')} | {_price(card, 'output')} |"
    if len(cards) > _MOST_NAMES:
        yield f"\nand {len(cards) - _MOST_NAMES} more."


def _price(card: Mapping[str, Any], kind: str) -> str:
    price = card.get(f"{kind}_usd_per_mtok")
    return "not stated" if price is None else f"{price:g}"


def _tell_of_prompts(contents: ArtifactContents) -> str:
    if "support_queries" not in contents.tables:
        return "It holds no training prompts."
    prompts = count_of(len(contents.tables["support_queries"]), "training prompt")
    if contents.manifest.get("evidence", True):
        return (
            f"**It holds {prompts} in clear text**, as evidence of its decisions. Give it to those "
            "only who may read them."
        )
    return (
        f"The text of its {prompts} is not in it. There are digests, by which somebody who has a "
        "prompt finds out whether it is among them, and embeddings, which tell roughly what "
        "prompts are about."
    )


def _join(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    rest = len(names) - _MOST_NAMES
    return shown if rest <= 0 else f"{shown} and {rest} more"


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _escape(str(value))


def _escape(text: str) -> str:
    """A name as it stands in a cell: names come from data, and may hold what a table reads."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
