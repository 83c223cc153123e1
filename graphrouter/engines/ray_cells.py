"""Cells of a comparison spread over a Ray cluster, as `processes.spread` does over cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from graphrouter.engines.ray_cluster import join_cluster

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread_on_ray(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    num_processes: int,
    address: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[tuple[Item, Result | BrokenProcessPool]]:
    """Each item with its result, in the order in which they are done.

    The error where the item kills its process. What a cell reads and writes must lie where all
    machines see it.

    Args:
        items: What to work on, in the order in which they are begun.
        work: A function at the top of a module; its exceptions end the whole work.
        num_processes: Processors of a cluster that is started here.
        address: Of a running cluster, all of whose processors are used.
        variables: Of the environment of each process.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    with join_cluster(address, num_workers=num_processes, purpose="comparing on Ray") as ray:
        environment = {"env_vars": dict(variables or {})}
        task = ray.remote(num_cpus=1, max_retries=0, runtime_env=environment)(work)
        running = {task.remote(item): item for item in items}
        while running:
            [done], _ = ray.wait(list(running), num_returns=1)
            item = running.pop(done)
            try:
                yield item, ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
                yield item, BrokenProcessPool(str(error))
