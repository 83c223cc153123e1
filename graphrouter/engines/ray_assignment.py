"""A model for each of very many prompts within one budget: scored on Ray, solved on one machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa

from graphrouter.batch_records import BatchLimits, BatchRouting
from graphrouter.batch_routing import assign_batch
from graphrouter.engines.parquet_parts import Part, PartFolder, list_parts
from graphrouter.engines.ray_predictions import PartActor, run_parts
from graphrouter.moment import Moment
from graphrouter.policy import Policy
from graphrouter.router.loading import load_router
from graphrouter.router.record_batches import CHOICE_SCHEMA, score_each
from graphrouter.types import Predictions

_FIELDS = tuple(field.name for field in fields(Predictions) if field.name != "models")


def assign_on_ray(
    artifact: str,
    prompts: str,
    out: str,
    *,
    limits: BatchLimits,
    policy: Policy | None = None,
    extra_latency_s: Mapping[str, float] | None = None,
    unavailable: Sequence[str] = (),
    num_workers: int = 2,
    address: str | None = None,
) -> BatchRouting:
    """What `Router.route_batch` chooses within a budget, for prompts that one machine cannot score.

    Scores are computed on Ray into `out`/scores, and a run that was killed goes on from there. The
    choice needs all of them at once and is made here. One file a row group of the prompts, a row a
    query, is written to `out`/choices.

    Args:
        artifact: Folder of the router, which every machine of the cluster sees.
        prompts: Folder of .parquet files with query_id, prompt and perhaps task; any address of
            fsspec.
        out: Folder to write to; any address of fsspec.
        limits: What the batch may take in all.
        policy: What to respect on every query; nothing without it.
        extra_latency_s: Seconds on top of the predicted ones, by model.
        unavailable: Models that cannot be called.
        num_workers: Actors, each with a processor and a loaded router.
        address: Of a running cluster; one on this machine is started without it.

    Raises:
        DataError: The prompts are not there, or `out` holds choices of another work.
        PolicyError: No choice fits the limits, or policy or limits are no such thing.
        MissingExtraError: Ray is not installed.
    """
    policy = Policy() if policy is None else policy
    router = load_router(artifact)
    limits.check(router.models)
    now = Moment.of(extra_latency_s, unavailable, models=router.models)
    parts = list_parts(prompts)
    made_by = {"artifact": artifact, "policy": repr(policy), "limits": repr((limits, now))}
    choices = PartFolder.claim(f"{out}/choices", parts, made_by)  # before the hours that it takes
    scores = PartFolder.claim(f"{out}/scores", parts, {"artifact": artifact})
    missing = scores.list_missing(parts)
    making = (PartScorer, (artifact, scores.address))
    run_parts(missing, *making, num_workers=num_workers, address=address)
    ids, predictions = _read_scores(scores, parts, router.models)
    chosen = assign_batch(policy, now.delay(predictions), router.policy_context.at(now), limits)
    table = pa.Table.from_pandas(chosen.to_frame(ids), CHOICE_SCHEMA, preserve_index=False)
    start = 0
    for part in parts:
        rows = table.slice(start, part.num_rows)
        choices.write(part, rows.to_batches(), CHOICE_SCHEMA)
        start += part.num_rows
    return chosen


class PartScorer(PartActor):
    """Writes all that a router expects of the models: a row a query, a list a quantity."""

    def write(self, part: Part) -> int:
        """As in `PartActor`."""
        schema = pa.schema(
            [("query_id", pa.string()), *((name, pa.list_(pa.float64())) for name in _FIELDS)]
        )
        return self.folder.write(part, self._score(part, schema), schema)

    def _score(self, part: Part, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(part.read(), 1):
            for ids, predictions in score_each(self.router, batch, f"record batch {number}"):
                columns: dict[str, Any] = {"query_id": ids}
                for name in _FIELDS:
                    values = getattr(predictions, name)
                    rows = None if values is None else list(values.reshape(len(ids), -1))
                    columns[name] = (
                        pa.nulls(len(ids), schema.field(name).type) if rows is None else rows
                    )
                yield pa.RecordBatch.from_pydict(columns, schema)


def _read_scores(
    folder: PartFolder, parts: Sequence[Part], models: tuple[str, ...]
) -> tuple[list[str], Predictions]:
    """Ids of all queries in the order of the parts, and what is expected of them."""
    table = pa.concat_tables([folder.read(part) for part in parts])
    known = {
        name: table[name].combine_chunks().values.to_numpy(zero_copy_only=False)
        for name in _FIELDS
        if not table[name].null_count
    }
    shaped = {name: values.reshape(len(table), -1) for name, values in known.items()}
    if "familiarity" in shaped:
        shaped["familiarity"] = shaped["familiarity"][:, 0]
    return table["query_id"].to_pylist(), Predictions(models=models, **shaped)
