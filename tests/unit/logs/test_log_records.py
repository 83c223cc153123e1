from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphrouter.exceptions import DataError
from graphrouter.logs import read_log
from graphrouter.logs.log_records import read_records
from tests.postgresql import PROGRAMS, Cluster, start_cluster

ROWS = [{"prompt": "a", "model": "m"}, {"prompt": "b", "model": "n"}]
SPEND = Path(__file__).parents[2] / "data" / "logs" / "litellm_spend_logs.jsonl"


@pytest.mark.parametrize("form", ["lines", "list", "page", "packed", "csv"])
def test_files_of_every_kind(form: str, tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, ROWS))
    if form == "packed":
        (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    elif form == "csv":
        (tmp_path / "log.csv").write_text("prompt,model\na,m\nb,n\n")
    else:
        text = {"lines": lines, "list": json.dumps(ROWS), "page": json.dumps({"data": ROWS})}[form]
        (tmp_path / "log.json").write_text(text)
    assert [dict(record) for record in read_records(tmp_path)] == ROWS


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with start_cluster() as running:
        yield running


if PROGRAMS:  # as the tests of the gateway's store

    def test_the_table_of_spend_in_postgresql(cluster: Cluster) -> None:
        """With the columns and types of LiteLLM's schema that are read."""
        import psycopg

        url = cluster.make_database("spend")
        rows = [json.loads(line) for line in SPEND.read_text().splitlines()]
        types = {
            "request_id": "text", "call_type": "text", "spend": "double precision",
            "prompt_tokens": "integer", "completion_tokens": "integer",
            "startTime": "timestamp(3)", "endTime": "timestamp(3)",
            "completionStartTime": "timestamp(3)", "model": "text", "model_group": "text",
            "cache_hit": "text", "status": "text", "metadata": "jsonb", "request_tags": "jsonb",
            "messages": "jsonb", "response": "jsonb", "proxy_server_request": "jsonb",
        }  # fmt: skip
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        names = ", ".join(f'"{name}"' for name in types)
        with psycopg.connect(url) as connection:
            connection.execute(f'CREATE TABLE "LiteLLM_SpendLogs" ({columns})')
            for row in rows:
                marks = ", ".join(["%s"] * len(types))
                values = [row[name] for name in types]
                connection.execute(
                    f'INSERT INTO "LiteLLM_SpendLogs" ({names}) VALUES ({marks})', values
                )
        mine, theirs = (read_log("litellm", source).data for source in (url, SPEND))
        assert mine.queries["prompt"].tolist() == theirs.queries["prompt"].tolist()
        for column in ("effect", "cost_usd", "output_tokens"):
            a, b = (data.outcomes[column].fillna(-1).tolist() for data in (mine, theirs))
            assert a == b
        assert mine.outcomes["latency_s"].notna().all()
        with pytest.raises(DataError, match=r"Cannot read the table 'absent'.*does not exist"):
            read_log("litellm", url, table="absent")
