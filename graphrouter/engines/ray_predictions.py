"""Predictions and choices on a Ray cluster, a row group of Parquet at a time."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from graphrouter.engines.parquet_parts import Part, PartFolder, list_parts
from graphrouter.engines.ray_cluster import join_cluster
from graphrouter.router.loading import load_router
from graphrouter.router.record_batches import CHOICE_SCHEMA, SCORE_SCHEMA

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from graphrouter.policy import Policy


class PartActor(ABC):
    """An actor that keeps a loaded router, and writes one part after the other."""

    def __init__(self, artifact: str, out: str) -> None:
        """Loads the router.

        Args:
            artifact: Folder that every machine sees.
            out: Address of the folder to write to.
        """
        self.router, self.folder = load_router(artifact), PartFolder(out)

    def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.int64]]:
        """How many rows were written for each part of the batch, whose columns are its fields."""
        import numpy as np

        columns = [column.tolist() for column in batch.values()]
        parts = [Part(**dict(zip(batch, row, strict=True))) for row in zip(*columns, strict=True)]
        return {"num_rows": np.array([self.write(part) for part in parts])}

    @abstractmethod
    def write(self, part: Part) -> int:
        """How many rows were written for a part."""


class PartPredictor(PartActor):
    """Writes what a router expects of all models, or whom it chooses."""

    def __init__(self, artifact: str, out: str, policy: Policy | None) -> None:
        """Arguments of `PartActor`, and what to choose by; scores of all models without it."""
        super().__init__(artifact, out)
        self.policy = policy

    def write(self, part: Part) -> int:
        """As in `PartActor`."""
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
    parts = list_parts(prompts)
    made_by = {"artifact": artifact, "policy": None if policy is None else repr(policy)}
    missing = PartFolder.claim(out, parts, made_by).list_missing(parts)
    making = (PartPredictor, (artifact, out, policy))
    return run_parts(missing, *making, num_workers=num_workers, address=address)


def run_parts(
    missing: Sequence[Part],
    actor: type[PartActor],
    arguments: tuple[object, ...],
    *,
    num_workers: int,
    address: str | None,
) -> int:
    """How many rows actors have written for parts that are not there yet.

    Args:
        missing: What is to be made.
        actor: Who makes a part.
        arguments: Of the actor, which each worker passes once.
        num_workers: Actors, each with a processor.
        address: Of a running cluster; one on this machine is started without it.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    with join_cluster(address, num_workers=num_workers, purpose="predicting on Ray") as ray:
        if not missing:
            return 0
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # it warns that no bars are shown
        ray.data.DataContext.get_current().enable_progress_bars = False
        blocks = len(missing)  # one a part, so that each is done and written by itself
        work = ray.data.from_items([asdict(part) for part in missing], override_num_blocks=blocks)
        done = work.map_batches(
            actor,
            fn_constructor_args=arguments,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(num_workers, len(missing))),
            num_cpus=1,
        )
        return sum(int(row["num_rows"]) for row in done.iter_rows())
