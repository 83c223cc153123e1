"""`graphrouter pool suggest-probes`: which prompts to run on a newcomer, and the way back into the
pool."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.data.table_files import read_table, write_table
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]


def test_the_table_shows_what_the_router_suggests(
    invoke: Invoke, artifact: Path, router: GraphRouter
) -> None:
    status, shown, errors = invoke("pool", "suggest-probes", artifact, "-n", 3)
    assert (status, errors) == (0, "")
    assert "Prompts to run (3)" in shown
    places = [shown.index(query) for query in router.suggest_probes(3)["query_id"]]
    assert places == sorted(places)


def test_json_holds_the_same(invoke: Invoke, artifact: Path, router: GraphRouter) -> None:
    status, shown, errors = invoke("pool", "suggest-probes", artifact, "--json")
    assert (status, errors) == (0, "")
    assert json.loads(shown) == router.suggest_probes(20).to_dict("records")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_graded_probes_go_back_into_the_pool(
    invoke: Invoke, artifact: Path, tmp_path: Path, suffix: str
) -> None:
    mine = Path(shutil.copytree(artifact, tmp_path / "mine"))
    card, file = tmp_path / "card.json", tmp_path / f"probes{suffix}"
    card.write_text(json.dumps({"model": "fresh"}), encoding="utf-8")
    status, shown, errors = invoke("pool", "suggest-probes", mine, "-n", 6, "--out", file)
    assert (status, errors) == (0, "")
    assert "Wrote 6 prompts" in shown
    write_table(read_table(file).assign(effect=0.5), file)
    assert invoke("pool", "add", mine, card, "--outcomes", file)[0] == 0
    again = json.loads(
        invoke("pool", "suggest-probes", mine, "--model", "fresh", "-n", 6, "--json")[1]
    )
    assert len(again) == 6
    assert not {row["query_id"] for row in again} & set(read_table(file)["query_id"])


def test_bad_input_is_one_line_and_writes_nothing(
    invoke: Invoke, artifact: Path, tmp_path: Path
) -> None:
    out = tmp_path / "probes.csv"
    for words, said in (
        (("-n", 0), "0 probes were asked for; expected 1 to"),
        (("-n", 100_000), "100000 probes were asked for"),
        (("--model", "nobody"), "Unknown model 'nobody'"),
        (("--out", tmp_path / "probes.xlsx"), "the suffix '.xlsx'"),
        (("--out", tmp_path), "suffix ''"),
    ):
        status, shown, errors = invoke("pool", "suggest-probes", artifact, "--out", out, *words)
        assert (status, shown) == (2, ""), words
        assert said in errors
        assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
