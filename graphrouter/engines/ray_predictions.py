"""Predictions and choices on a Ray cluster, a row group of Parquet at a time."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from graphrouter.engines.parquet_parts import Part, PartFolder, list_parts
from graphrouter.extras import require_extra
from graphrouter.router.loading import load_router
from graphrouter.router.record_batches import CHOICE_SCHEMA, SCORE_SCHEMA

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from graphrouter.policy import Policy


class PartPredictor:
    """An actor that keeps a loaded router, and writes what it says of one part after the other."""

    def __init__(self, artifact: str, out: str, policy: Policy | None) -> None:
        """Loads the router.

        Args:
            artifact: Folder that every machine sees.
            out: Address of the folder to write to.
            policy: What to choose by; scores of all models without it.
        """
        self.router, self.folder, self.policy = load_router(artifact), PartFolder(out), policy

    def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.int64]]:
        """How many rows were written for each part of the batch, whose columns are its fields."""
        import numpy as np

        columns = [column.tolist() for column in batch.values()]
        parts = [Part(**dict(zip(batch, row, strict=True))) for row in zip(*columns, strict=True)]
        return {"num_rows": np.array([self._write(part) for part in parts])}

    def _write(self, part: Part) -> int:
        found = self.router.predict_batches(part.read(), policy=self.policy)
        schema = SCORE_SCHEMA if self.policy is None else CHOICE_SCHEMA
        return self.folder.write(part, found, schema)


def predict_on_ray(
    artifact: str,
    prompts: str,
    out: str,
    *,
    policy: Policy | None = None,
    num_workers: int = 2,
    address: str | None = None,
) -> int:
    """How many rows were written: what `Router.predict_batches` yields, as Parquet in `out`.

    One file a row group of the prompts. A run that was killed goes on where it was: what is whole
    is not made again, and no row is there twice.

    Args:
        artifact: Folder of the router, which every machine of the cluster sees.
        prompts: Folder of .parquet files with query_id, prompt and perhaps task; any address of
            fsspec.
        out: Folder to write to; any address of fsspec.
        policy: What to choose by, a row a query; scores of all models without it.
        num_workers: Actors, each with a processor and a loaded router.
        address: Of a running cluster; one on this machine is started without it.

    Raises:
        DataError: The prompts are not there, or `out` holds something else.
        MissingExtraError: Ray is not installed.
    """
    require_extra("ray", purpose="predicting on Ray")
    parts = list_parts(prompts)
    made_by = {"artifact": artifact, "policy": None if policy is None else repr(policy)}
    missing = PartFolder.claim(out, parts, made_by).list_missing(parts)
    if not missing:
        return 0
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    import ray

    is_mine = not ray.is_initialized()
    if is_mine:
        local: dict[str, Any] = {}
        if address is None:
            local = {"num_cpus": num_workers, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **local)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        blocks = len(missing)  # one a part, so that each is done and written by itself
        work = ray.data.from_items([asdict(part) for part in missing], override_num_blocks=blocks)
        done = work.map_batches(
            PartPredictor,
            fn_constructor_args=(artifact, out, policy),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(num_workers, len(missing))),
            num_cpus=1,
        )
        return sum(int(row["num_rows"]) for row in done.iter_rows())
    finally:
        if is_mine:
            ray.shutdown()
