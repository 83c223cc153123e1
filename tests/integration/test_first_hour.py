"""From a client's log of 5,000 calls to a choice, a page of savings, and what to grade next."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest

from experiments.first_hour.make_log import make_lines
from graphrouter.cli.app import run
from graphrouter.cli.next_step import find_step


@pytest.mark.slow
def test_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def invoke(*words: str) -> tuple[int, str, str]:
        status = run(list(words))
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    lines = list(make_lines(5000, 800, seed=0))
    assert sum("rating" in line for line in lines) == 800
    assert len({line["request"]["model"] for line in lines}) == 6
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    said = find_step(tmp_path).commands[0]
    status, _, errors = invoke(*shlex.split(said)[1:])
    assert status == 2
    assert "--grade rating=1..5?" in errors
    status, shown, errors = invoke(*shlex.split(said)[1:], "--grade", "rating=1..5")
    assert (status, errors) == (0, "")
    assert "Graded      800 of 5,000" in shown
    data = "data/mine"
    status, shown, errors = invoke(
        *("data", "describe", data, "--grades", "next.csv", "--num", "40", "--logged")
    )
    assert status == 0, errors
    pairs = pd.read_csv("next.csv")
    assert len(pairs) == 40
    assert pairs["is_answered"].all()
    status, _, errors = invoke("train", data, "--instant", "--out", "artifacts/mine")
    assert status == 0, errors
    status, shown, errors = invoke("route", "artifacts/mine", "How do I return a parcel?", "--json")
    assert status == 0, errors
    assert json.loads(shown)["model"] in {line["request"]["model"] for line in lines}
    commands = find_step(tmp_path).commands
    (savings,) = (command for command in commands if " savings " in command)
    status, shown, errors = invoke(*shlex.split(savings.replace("MODEL", "tarn-grand"))[1:])
    assert status == 0, errors
    page = Path("savings.html")
    assert 50_000 < page.stat().st_size < 300_000
