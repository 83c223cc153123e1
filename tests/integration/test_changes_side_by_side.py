"""Many processes change one artifact at once, and nothing is lost that was said to be done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import graphrouter as gr

ROOT = Path(__file__).parents[2]
ROUTER = ROOT / "tests" / "data" / "format4" / "graphrouter"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run_rounds(folder: Path, rounds: int) -> dict[str, Any]:
    script = Path(__file__).with_name("side_by_side.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(rounds), "0"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_rounds(found: dict[str, Any]) -> None:
    assert found["wrong"] == [], "somebody could not read or write, or files stayed behind"
    assert found["lost"] == [], "acknowledged, and not there"
    assert found["acknowledged"] >= 6 * found["rounds"], "three of eight writers always get through"
    assert found["killed"] >= found["rounds"]


def test_writers_and_readers_at_once_some_of_them_killed(tmp_path: Path) -> None:
    check_rounds(run_rounds(tmp_path / "round", 2))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_writers_and_readers_at_once_in_200_rounds(tmp_path: Path) -> None:
    check_rounds(run_rounds(tmp_path / "round", 200))


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "graphrouter", *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_commands_side_by_side_all_take_effect(tmp_path: Path) -> None:
    """The destroyed artifact, and the lost models, of four `pool add` at once; the lost removal."""
    live = tmp_path / "live"
    shutil.copytree(ROUTER, live)
    commands = []
    for name in ("n1", "n2", "n3"):
        card = tmp_path / f"{name}.yaml"
        card.write_text(f"model: {name}\ndescription: Model {name}.\n", encoding="utf-8")
        commands.append(("pool", "add", str(live), str(card)))
    commands.append(("pool", "set-price", str(live), "tarn-grand", "--input", "3", "--output", "9"))
    commands.append(("pool", "remove", str(live), "brindle-spark"))
    running = [start(*words) for words in commands]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said
    router = gr.load_router(live)
    old = {"juniper-30b", "tarn-grand", "thimble-count", "newcomer"}
    assert set(router.models) == {*old, "n1", "n2", "n3"}
    assert router.pool["tarn-grand"].output_usd_per_mtok == 9
