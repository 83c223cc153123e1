"""A folder of Parquet files as parts of work, and the folder where what comes of each is written.

Any address of fsspec will do for either: a path, or `s3://bucket/folder` with its package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from graphrouter.data.columns import PEOPLE, VIEWS
from graphrouter.exceptions import DataError
from graphrouter.wording import count_of

_ROWS_AT_ONCE = 4096
_PLAN = "_plan.json"
_READ = ("query_id", "prompt", "task", *PEOPLE, *VIEWS)


@dataclass(frozen=True)
class Part:
    """A row group of a file of prompts: what one actor does at a time."""

    source: str
    """Address of the file."""
    group: int
    """Number of the row group, from 0."""
    num_rows: int
    name: str
    """Of the file that is made of it."""

    def read(self) -> Iterator[pa.RecordBatch]:
        """Its rows, some at a time: query_id, prompt, and what else is said of a query."""
        files, path = _open(self.source)
        with files.open(path, "rb") as stream:
            file = pq.ParquetFile(stream)
            wanted = [name for name in _READ if name in file.schema_arrow.names]
            yield from file.iter_batches(_ROWS_AT_ONCE, [self.group], wanted)


def list_parts(source: str) -> list[Part]:
    """The parts of a folder of Parquet files, or of one such file, in the order of their names.

    Raises:
        DataError: There are none, or a file lacks `query_id` or `prompt`.
    """
    files, path = _open(source)
    found = sorted(files.glob(f"{path.rstrip('/')}/*.parquet")) if files.isdir(path) else [path]
    parts: list[Part] = []
    for number, name in enumerate(found):
        if not files.isfile(name):
            raise DataError(f"There is no {source}; expected a folder of .parquet files, or one.")
        with files.open(name, "rb") as stream:
            held = pq.ParquetFile(stream).metadata
        missing = {"query_id", "prompt"} - set(held.schema.names)
        if missing:
            raise DataError(
                f"{name} has no column {sorted(missing)[0]!r}; expected query_id, prompt and "
                "perhaps task."
            )
        for group in range(held.num_row_groups):
            rows = held.row_group(group).num_rows
            address = files.unstrip_protocol(name)
            parts.append(Part(address, group, rows, f"part-{number:05d}-{group:05d}.parquet"))
    if not parts:
        raise DataError(f"{source} holds no .parquet file; expected one or more of prompts.")
    return parts


@dataclass(frozen=True)
class PartFolder:
    """Where parts are written, each once: a part that is there is whole."""

    address: str

    @classmethod
    def claim(cls, address: str, parts: Sequence[Part], made_by: dict[str, Any]) -> Self:
        """The folder, new or with parts of the same work that was interrupted.

        Raises:
            DataError: It holds something else.
        """
        folder = cls(address)
        files, path = _open(address)
        plan = json.dumps({"parts": [asdict(part) for part in parts], **made_by}, indent=2)
        files.makedirs(path, exist_ok=True)
        there = [name.rsplit("/", 1)[-1] for name in files.ls(path, detail=False)]
        if _PLAN in there:
            if files.cat_file(f"{path}/{_PLAN}").decode() != plan:
                raise DataError(
                    f"{address} holds parts of another work: other prompts, another artifact, "
                    "policy or limit. Name another folder, or delete this one."
                )
        elif there:
            raise DataError(
                f"{address} holds {count_of(len(there), 'file')} and no plan of an earlier run; "
                "expected a new or empty folder."
            )
        else:
            files.pipe_file(f"{path}/{_PLAN}", plan.encode())
        return folder

    def list_missing(self, parts: Iterable[Part]) -> list[Part]:
        """The parts that are not there yet."""
        files, path = _open(self.address)
        there = {name.rsplit("/", 1)[-1] for name in files.ls(path, detail=False, refresh=True)}
        return [part for part in parts if part.name not in there]

    def read(self, part: Part) -> pa.Table:
        """What is there of a part."""
        files, path = _open(self.address)
        with files.open(f"{path}/{part.name}", "rb") as stream:
            return pq.read_table(stream)

    def write(self, part: Part, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        """The number of rows of a part, written under another name and moved when it is whole."""
        files, path = _open(self.address)
        draft, num_rows = f"{path}/.{part.name}.draft", 0
        with files.open(draft, "wb") as stream, pq.ParquetWriter(stream, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
                num_rows += batch.num_rows
        files.mv(draft, f"{path}/{part.name}")
        return num_rows


def _open(address: str) -> tuple[Any, str]:
    """File system and path of an address."""
    files, path = fsspec.url_to_fs(address)
    return files, path
