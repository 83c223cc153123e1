"""A graph router to and from an artifact."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from graphrouter.artifact import (
    ArtifactContents,
    Lineage,
    list_versions,
    read_artifact,
    write_artifact,
)
from graphrouter.artifact_tables import StoredTable
from graphrouter.config import TrainConfig
from graphrouter.data import Split
from graphrouter.documented_model import first_problem
from graphrouter.encoders import TextEncoder, restore_encoder
from graphrouter.exceptions import ArtifactError, GraphRouterError
from graphrouter.features.channels import ChannelScaler, SpendUnit
from graphrouter.features.prompts import Float32Array
from graphrouter.features.tables import (
    FeatureTransform,
    FittedTransforms,
    RawFeatures,
    find_positions,
)
from graphrouter.features.token_rates import count_chars
from graphrouter.features.views import pack_views, unpack_views
from graphrouter.lazy import pandas as pd
from graphrouter.policy import CostScale
from graphrouter.pool import ModelPool
from graphrouter.router.learned import Learned
from graphrouter.router.migrations import migrate_contents
from graphrouter.router.outcome_covariance import OutcomeCovariance
from graphrouter.router.parts import Support
from graphrouter.router.provenance import Change, Provenance, count_forgotten
from graphrouter.router.saved_states import (
    GROUP,
    find_states,
    pack_derived,
    pack_states,
    read_counts,
    read_states,
    sign_states,
)
from graphrouter.router.states import States
from graphrouter.scoring.decoding import AmountCalibration
from graphrouter.scoring.effects import EffectCalibration, EffectInterval
from graphrouter.scoring.scorer import FeatureSizes

Parts = tuple[Learned, Support, Provenance, TextEncoder]
"""What a router is made of."""

_KIND = "graphrouter"
_CHARS = "num_chars"
_SPLIT_NAMES = ("train", "validation", "test")


def save_parts(
    folder: Path,
    parts: Parts,
    made: tuple[States, OutcomeCovariance],
    lineage: Lineage,
    *,
    overwrite: bool = False,
    evidence: bool | None = None,
) -> None:
    """Write the parts of a router to `folder`; see `write_artifact`.

    Args:
        folder: Where.
        parts: Of the router.
        made: What was computed of them.
        lineage: Of the router.
        overwrite: Also put it in the place of changes that it does not come from.
        evidence: Whether the text of solved prompts goes with it; None for as it was saved before.

    Raises:
        ArtifactError: `folder` is something else than a new or empty folder or an older artifact,
            or would keep text in an older version that shall not be kept, or text is asked for
            that was left out before.
    """
    (learned, support, provenance, encoder), (states, covariance) = parts, made
    support = _choose_evidence(support, folder, evidence)
    scaler = learned.transforms.channels
    manifest = {
        "kind": _KIND,
        "config": learned.config.model_dump(mode="json"),
        "dataset": {"name": provenance.dataset, "fingerprint": provenance.fingerprint},
        "held_out_models": list(provenance.split.held_out_models),
        "encoder": {"id": encoder.id, "revision": encoder.revision, "dimension": encoder.dimension},
        "features": learned.sizes._asdict(),
        "spend_unit": scaler.spend_unit.value,
        "channels": {
            "mean": scaler.mean.tolist(),
            "scale": scaler.scale.tolist(),
            "observed": list(scaler.observed),
        },
        "effect_calibration": dataclasses.asdict(learned.calibration),
        "effect_interval": dataclasses.asdict(learned.interval),
        "amount_calibration": dataclasses.asdict(learned.amounts),
        "cost_scale": [_to_json_number(bound) for bound in learned.transforms.cost],
        "metrics": provenance.metrics,
        "changes": [dataclasses.asdict(change) for change in provenance.changes],
        "models_before_bills": sorted(support.old_models),
        "views": {
            name: [part.shape[1] for part in view] for name, view in support.raw.views.items()
        },
        "num_queries": len(support.query_table),
        "num_models": len(support.pool),
        "num_outcomes": len(support.outcome_table),
    }
    if support.withholds_prompts:
        manifest["evidence"] = False
    raw = support.raw
    vectors = {"embedding": raw.prompts, "surface": raw.surface, **pack_views(raw.views)}
    if support.withholds_prompts:
        vectors[_CHARS] = raw.num_chars  # nobody can count them again
    tensors = {
        "weights": learned.weights,
        "transforms": learned.transforms.features.to_arrays(),
        GROUP: {**pack_states(states), **pack_derived(learned, support, covariance)},
    }
    tables = {
        "pool": _add_vectors(_tabulate_cards(support.pool), embedding=raw.descriptions).assign(
            numbers=list(raw.cards)
        ),
        "tasks": _add_vectors(support.tasks, embedding=raw.tasks),
        "support_queries": _add_vectors(support.queries, **vectors),
        "support_outcomes": support.outcome_table,
        "split": _tabulate_split(provenance.split),
        "seen_prompts": pd.DataFrame({"prompt_key": sorted(provenance.seen_prompts)}, dtype="str"),
    }
    contents = ArtifactContents(manifest, tensors, tables)
    write_artifact(
        folder,
        contents,
        lineage=lineage,
        overwrite=overwrite,
        keeps_older=not _holds_forgotten(folder, provenance),
        sign=sign_states,
    )


def read_parts(
    folder: Path, lineage: Lineage, *, encoder: TextEncoder | None = None
) -> tuple[Parts, States | None]:
    """The parts of the router saved in `folder`, and its states where they can be used.

    Args:
        folder: The artifact.
        lineage: Learns which version of the artifact it was.
        encoder: To use in place of the one that the settings make.

    Raises:
        ArtifactError: There is no artifact, or it is damaged, edited, or not a graph router.
        EncoderError: The text encoder is not the one that the router was trained with.
    """
    contents = read_artifact(folder)
    manifest = contents.manifest
    if manifest.get("kind") != _KIND:
        what = manifest.get("baseline", manifest.get("kind"))
        raise ArtifactError(
            f"The artifact at {folder} is a {what!r}; expected {_KIND!r}. Baselines are compared "
            "by: graphrouter benchmark DATA."
        )
    lineage.note(folder, str(manifest["checksum"]))
    try:
        contents = migrate_contents(contents)
        saved = find_states(folder, contents)
        counts = None if saved is None else read_counts(saved)
        parts = _decode_parts(folder, contents, encoder, counts)
        learned, support = parts[:2]
        learned.make_forecaster()  # the weights are there
        del contents  # what is read of the states is let go
        if saved is None:
            _ = learned.net  # by which states are computed: its weights are all there
            return parts, None
        return parts, read_states(saved, learned, support)
    except GraphRouterError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        # A part that another release names or shapes differently, or that somebody made up.
        raise ArtifactError(
            f"The artifact at {folder} is not of this release ({error}). Train again."
        ) from error


def _decode_parts(
    folder: Path,
    contents: ArtifactContents,
    encoder: TextEncoder | None,
    num_chars: Float32Array | None,
) -> Parts:
    manifest = contents.manifest
    try:
        config = TrainConfig.model_validate(manifest["config"])
    except ValidationError as error:
        problem = first_problem(error)
        raise ArtifactError(
            f"The settings in {folder} are not of this release ({problem.key} = "
            f"{problem.received!r}: {problem.message}). "
            "Train again."
        ) from None
    text_encoder = restore_encoder(encoder, config.encoder, **manifest["encoder"])
    learned = Learned(
        weights=contents.tensors["weights"],
        sizes=FeatureSizes(**manifest["features"]),
        transforms=_read_transforms(contents),
        config=config,
        calibration=EffectCalibration.from_dict(manifest["effect_calibration"]),
        interval=EffectInterval(**manifest["effect_interval"]),
        amounts=AmountCalibration.from_dict(manifest["amount_calibration"]),
    )
    return learned, _read_support(contents, num_chars), _read_provenance(contents), text_encoder


def _read_provenance(contents: ArtifactContents) -> Provenance:
    dataset = contents.manifest["dataset"]
    seen = frozenset(contents.tables["seen_prompts"]["prompt_key"])
    changes = tuple(Change(**change) for change in contents.manifest["changes"])
    metrics = dict(contents.manifest["metrics"])
    return Provenance(
        dataset["name"], dataset["fingerprint"], _read_split(contents), seen, metrics, changes
    )


def _read_transforms(contents: ArtifactContents) -> FittedTransforms:
    manifest = contents.manifest
    channels = manifest["channels"]
    return FittedTransforms(
        features=FeatureTransform.from_arrays(contents.tensors["transforms"]),
        channels=ChannelScaler(
            spend_unit=SpendUnit(manifest["spend_unit"]),
            mean=np.array(channels["mean"]),
            scale=np.array(channels["scale"]),
            observed=tuple(channels["observed"]),
        ),
        cost=CostScale(
            *(float("nan") if bound is None else bound for bound in manifest["cost_scale"])
        ),
    )


def _read_support(contents: ArtifactContents, num_chars: Float32Array | None) -> Support:
    tables: Mapping[str, Any] = contents.tables  # as they are stored
    pool = ModelPool.of_stored(json.loads(card) for card in tables["pool"]["card"])
    queries, tasks = tables["support_queries"], tables["tasks"]
    raw = RawFeatures(
        prompts=_to_matrix(queries["embedding"]),
        surface=_to_matrix(queries["surface"]),
        num_chars=_read_chars(queries) if num_chars is None else num_chars,
        query_task=find_positions(queries["task"], tasks["task"]),
        descriptions=_to_matrix(tables["pool"]["embedding"]),
        cards=tables["pool"]["numbers"],
        tasks=_to_matrix(tasks["embedding"], width=contents.manifest["encoder"]["dimension"]),
        views=unpack_views(queries, contents.manifest["views"]),
    )
    return Support(
        pool=pool,
        task_table=tasks,
        query_table=queries,
        outcome_table=tables["support_outcomes"],
        raw=raw,
        old_models=frozenset(contents.manifest["models_before_bills"]),
    )


def _read_chars(queries: StoredTable) -> Float32Array:
    if _CHARS in queries:
        return _to_matrix(queries[_CHARS])
    return count_chars(list(queries["prompt"]))


def _choose_evidence(support: Support, folder: Path, evidence: bool | None) -> Support:
    """The support as it is to be saved: with the text of its prompts or without."""
    if evidence and support.withholds_prompts:
        raise ArtifactError(
            "evidence=True was received, but the router was saved without its prompts before, so "
            "they are not there. Save it without, or fit it again."
        )
    if evidence is None:
        evidence = not support.withholds_prompts
    if evidence:
        return support
    check_holds_no_prompts(folder)
    return support.withhold_prompts()


def _holds_forgotten(folder: Path, provenance: Provenance) -> bool:
    """Whether a version that lies there is from before a user was forgotten."""
    try:
        versions = list_versions(folder)
    except ArtifactError:  # none, or one that nobody can read
        return False
    counts = [
        count_forgotten(change["what"] for change in version.manifest.get("changes") or ())
        for version in versions
    ]
    return any(count < provenance.num_forgotten for count in counts)


def check_holds_no_prompts(folder: Path) -> None:
    """Check that an artifact without prompts may be written to `folder`. Ask before training.

    Raises:
        ArtifactError: The folder would keep prompts in an older version.
    """
    try:
        versions = list_versions(folder)
    except ArtifactError:  # none, or one that nobody can read: writing says what becomes of it
        return
    if any(version.manifest.get("evidence", True) for version in versions):
        raise ArtifactError(
            f"{folder} holds a version of this artifact with its prompts, which it would keep. "
            "Save to a new folder, and delete this one."
        )


def _tabulate_cards(pool: ModelPool) -> pd.DataFrame:
    """One row a model: its name, and its card as JSON, so that an unset field stays unset."""
    return pd.DataFrame(
        {
            "model": list(pool.names),
            "card": [card.model_dump_json(by_alias=True, exclude_none=True) for card in pool],
        }
    )


def _tabulate_split(split: Split) -> pd.DataFrame:
    ids = {name: getattr(split, name) for name in _SPLIT_NAMES}
    return pd.DataFrame(
        {
            "query_id": [q for part in ids.values() for q in part],
            "split": [name for name, part in ids.items() for _ in part],
        },
        dtype="str",
    )


def _read_split(contents: ArtifactContents) -> Split:
    table = contents.tables["split"]
    pairs = list(zip(table["query_id"], table["split"], strict=True))
    ids = {name: tuple(query for query, side in pairs if side == name) for name in _SPLIT_NAMES}
    return Split(**ids, held_out_models=tuple(contents.manifest["held_out_models"]))


def _add_vectors(
    table: pd.DataFrame, **vectors: np.ndarray[Any, np.dtype[np.float32]]
) -> pd.DataFrame:
    return table.assign(**{name: list(rows) for name, rows in vectors.items()})


def _to_matrix(rows: Float32Array, *, width: int = 0) -> Float32Array:
    return rows.astype(np.float32, copy=False) if len(rows) else np.zeros((0, width), np.float32)


def _to_json_number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
