"""Predictions on a Ray cluster of two workers on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import graphrouter as gr
from graphrouter.cli.app import app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of Ray are not ours to mend
]


def run(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.output


def test_scores_are_those_of_one_process_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=200, num_models=4).data
    router = gr.GraphRouter.fit(data, instant=True)
    router.save(tmp_path / "router")
    prompts, out = tmp_path / "prompts", tmp_path / "scores"
    prompts.mkdir()
    table = data.queries[["query_id", "task", "prompt"]].iloc[:100]
    for number in range(2):
        part = pa.Table.from_pandas(table.iloc[number * 50 : number * 50 + 50])
        pq.write_table(part, prompts / f"{number}.parquet", row_group_size=20)

    words = ["predict", tmp_path / "router", prompts, "--engine", "ray", "--out", out]
    assert "Wrote 400 rows" in run(*words, "--workers", 2)
    files = sorted(out.glob("part-*.parquet"))
    assert len(files) == 6

    # As after a kill: a part is missing, and a draft of another attempt lies about.
    kept = {file: file.stat().st_mtime_ns for file in files[1:]}
    files[0].rename(out / f".{files[0].name}.draft")
    assert "Wrote 80 rows" in run(*words, "--workers", 2)
    assert {file: file.stat().st_mtime_ns for file in files[1:]} == kept
    assert "Wrote 0 rows" in run(*words)

    found = pd.concat(map(pd.read_parquet, sorted(out.glob("part-*.parquet"))), ignore_index=True)
    tasks = table["task"].tolist()
    expected = router.predict(table["prompt"].tolist(), tasks=tasks)
    expected = expected.to_frame(table["query_id"].tolist())
    assert found["query_id"].tolist() == expected["query_id"].tolist()
    assert found["model"].tolist() == expected["model"].tolist()
    for name in expected.columns[2:]:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)
