"""A router fitted anew on what an artifact of another network holds.

Formats 1 and 2 hold weights that no network of today can take. They also hold the training queries
with their outcomes, the cards and the tasks: enough for another training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from graphrouter.artifact import ArtifactContents, read_artifact
from graphrouter.artifact_tables import to_frame
from graphrouter.config import TrainConfig, load_config
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.data.columns import TABLES, list_columns
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import ArtifactError, GraphRouterError
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.provenance import Change, Provenance

REFITTED_VERSIONS = (1, 2)
_KEPT_SETTINGS = ("encoder", "split", "seed")
"""The others were chosen for another network."""


def refit_router(
    folder: Path,
    *,
    overrides: Sequence[str] = (),
    encoder: TextEncoder | None = None,
    progress: bool = False,
) -> GraphRouter:
    """A router trained on the queries and outcomes that an artifact of format 1 or 2 holds.

    Those are its training queries and what was added since; some of them become validation queries,
    since those of its own training are not in it. Its test queries stay what they were, so that
    `evaluate` goes on asking about prompts that neither training has seen. Its settings of text
    encoder, split and seed are kept, the rest are those of this release.

    Args:
        folder: The artifact, which stays as it is.
        overrides: Settings as `key=value`.
        encoder: Text encoder to use in place of the one that the settings make.
        progress: Show progress bars.

    Raises:
        ArtifactError: There is none, or it is damaged, of another format, or of a baseline, which
            holds no prompts.
        DataError: What it holds is too little to train on, or breaks the contract of today.
    """
    contents = read_artifact(folder, formats=REFITTED_VERSIONS)
    try:
        data, old = _read_data(contents), _read_provenance(contents)
        config = _read_settings(contents, overrides)
    except GraphRouterError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"The artifact at {folder} does not hold what a router of its format holds ({error}). "
            "Train again on your data."
        ) from error
    drawn = split_dataset(data, config.split)
    split = Split(
        train=tuple(sorted((*drawn.train, *drawn.test))), validation=drawn.validation, test=()
    )
    router = GraphRouter.fit(data, config, split=split, encoder=encoder, progress=progress)
    provenance = replace(
        router.provenance,
        dataset=old.dataset,
        fingerprint=old.fingerprint,
        split=replace(split, test=old.split.test, held_out_models=old.split.held_out_models),
        seen_prompts=router.provenance.seen_prompts | old.seen_prompts,
        changes=(*old.changes, Change.now("migrate", num_outcomes=len(data.outcomes))),
    )
    return GraphRouter(router.learned, router.support, provenance, router.encoder)


def _read_data(contents: ArtifactContents) -> RoutingDataset:
    """The tables that a training takes."""
    tables = {name: to_frame(table) for name, table in contents.tables.items()}
    cards = [json.loads(card) for card in tables["pool"]["card"]]
    frames = {
        "queries": tables["support_queries"],
        "models": pd.DataFrame(cards),
        "outcomes": tables["support_outcomes"],
        "tasks": tables["tasks"],
    }
    known = {
        name: frames[name][[column for column in frames[name] if column in list_columns(name)]]
        for name in TABLES
    }
    return RoutingDataset.from_frames(**known, name=str(contents.manifest["dataset"]["name"]))


def _read_provenance(contents: ArtifactContents) -> Provenance:
    manifest, split = contents.manifest, to_frame(contents.tables["split"])
    return Provenance(
        dataset=str(manifest["dataset"]["name"]),
        fingerprint=str(manifest["dataset"]["fingerprint"]),
        split=Split(
            train=(),
            validation=(),
            test=tuple(split["query_id"][split["split"] == "test"]),
            held_out_models=tuple(manifest["held_out_models"]),
        ),
        seen_prompts=frozenset(contents.tables["seen_prompts"]["prompt_key"]),
        metrics={},
        changes=tuple(Change(**change) for change in manifest["changes"]),
    )


def _read_settings(contents: ArtifactContents, overrides: Sequence[str]) -> TrainConfig:
    stored: dict[str, Any] = contents.manifest["config"]
    kept = TrainConfig.model_validate({name: stored[name] for name in _KEPT_SETTINGS})
    asked = load_config(overrides=list(overrides)).model_dump(exclude_unset=True)
    plain = kept.model_dump()
    for name, value in asked.items():
        plain[name] = {**plain[name], **value} if isinstance(value, dict) else value
    return TrainConfig.model_validate(plain)
