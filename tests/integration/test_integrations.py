"""LiteLLM, LangChain, OpenAI's Agents SDK and Envoy, as the package index has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_requests_of_others_reach_who_the_router_chose(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "experiments/integrations/run.sh", str(tmp_path / "beside"), sys.executable],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LiteLLM: 16 of 16 calls where the router sends them, 2 models" in done.stdout
    assert "Envoy: 10 of 10 requests where the router sends them" in done.stdout
    assert "the agent says: tarn-grand after 2 turns" in done.stdout
    assert "tarn-grand answers: tarn-grand\nstreamed: tarn-grand\n" in done.stdout
