"""The core trains, routes, takes in models and loads without the libraries of any extra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphrouter as gr

FOLDER = Path(__file__).parents[2] / "experiments" / "core_install"


def output_of(*words: str | Path, timeout: int) -> str:
    """Standard output of a program that has to end well."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_core_does_its_work_where_the_extras_are_hidden(tmp_path: Path) -> None:
    shown = output_of(
        sys.executable, FOLDER / "journey.py", tmp_path / "journey", "--block", timeout=240
    )
    assert "the core does its work without: lightgbm plotly sklearn" in shown


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_core_installs_alone(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "toml==0.10.2"]
    asked = subprocess.run(pip, cwd=tmp_path, capture_output=True, check=False)
    if asked.returncode != 0:
        pytest.skip("no package index can be reached")
    shown = output_of("bash", FOLDER / "run.sh", tmp_path / "env", sys.executable, timeout=1700)
    assert "of the extras there all the same: httpx2 huggingface_hub jinja2 torchmetrics\n" in shown
    assert "the core does its work without: lightgbm plotly sklearn" in shown


def test_a_server_has_the_versions_that_the_tests_run_on() -> None:
    root = FOLDER.parents[1]
    wanted, tested = (
        {line for line in (root / name).read_text().splitlines() if not line.startswith("#")}
        for name in ("requirements-serve.txt", "constraints.txt")
    )
    assert wanted <= tested
    assert not {line for line in wanted if "torch" in line}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_answers_without_torch(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "toml==0.10.2"]
    asked = subprocess.run(pip, cwd=tmp_path, capture_output=True, check=False)
    if asked.returncode != 0:
        pytest.skip("no package index can be reached")
    data = gr.simulate(num_queries=120, num_models=3).data
    gr.GraphRouter.fit(data, gr.load_config(), instant=True).save(tmp_path / "router")
    words = ("bash", FOLDER / "serve.sh", tmp_path / "env", tmp_path / "router", sys.executable)
    shown = output_of(*words, timeout=850)
    assert "chose " in shown
    assert "needs torch, which is not installed" in shown
