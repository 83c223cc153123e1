"""`graphrouter push`, `pull` and `card` from a shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import graphrouter as gr
from tests.hub import serve_hub
from tests.unit.cli.conftest import Invoke


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graphrouter", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_DISABLE_XET": "1", **environment},
        check=False,
    )


def test_push_pull_and_card(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=80, num_models=3).data
    router = gr.GraphRouter.fit(data, instant=True)
    router.save(tmp_path / "router")
    with serve_hub() as hub:
        pushed = run("push", tmp_path / "router", "me/mine", HF_ENDPOINT=hub.endpoint)
        pulled = run(
            *("pull", "me/mine", "--out", tmp_path / "new", "--json"), HF_ENDPOINT=hub.endpoint
        )
        readme = hub.files("me/mine")["README.md"].decode()
    assert (pushed.returncode, pushed.stderr) == (0, "")
    assert f"Pushed to {hub.endpoint}/me/mine/commit/" in pushed.stdout
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert json.loads(pulled.stdout)["artifact"] == str(tmp_path / "new")
    assert gr.load_router(tmp_path / "new").models == router.models
    shown = run("card", tmp_path / "new", "--place", "me/mine")
    assert shown.stdout == readme
    refused = run("pull", "me/mine", "--out", tmp_path / "new")
    assert refused.returncode == 2
    assert "holds an artifact already" in refused.stderr


def test_training_without_prompts(tmp_path: Path, invoke: Invoke) -> None:
    data = gr.simulate(num_queries=80, num_models=3).data
    data.save(tmp_path / "data")
    gr.GraphRouter.fit(data, instant=True).save(tmp_path / "open")
    words = ("train", tmp_path / "data", "--instant", "--no-evidence", "--out")
    status, _, errors = invoke(*words, tmp_path / "open")
    assert status == 2
    assert "holds a version of this artifact with its prompts" in errors
    status, _, errors = invoke(*words, tmp_path / "router")
    assert status == 0, errors
    loaded = gr.load_router(tmp_path / "router")
    assert loaded.support.queries["prompt"].str.startswith("(prompt withheld: ").all()
