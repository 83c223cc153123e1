"""`graphrouter serve`: a real process on loopback, and what is refused before its port opens."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.artifact import read_manifest
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def upstreams(tmp_path: Path) -> Path:
    file = tmp_path / "upstreams.yaml"
    file.write_text("defaults: {base_url: 'http://127.0.0.1:9/v1'}\n")
    return file


def test_it_serves_until_it_is_told_to_stop(
    artifact: Path, upstreams: Path, router: GraphRouter, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "graphrouter", "serve", artifact, "--upstreams", upstreams]
    words += ["--store", tmp_path / "gateway.db"]
    with subprocess.Popen(
        [*map(str, words), "--port", "0", "--preset", "performance_first", "--log-requests"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "120"},
    ) as process:
        assert process.stdout is not None
        shown = process.stdout.readline()
        found = re.fullmatch(r"Serving 4 models at (http://127\.0\.0\.1:\d+/v1)\n", shown)
        assert found is not None, shown
        request = urllib.request.Request(
            f"{found[1]}/route", json.dumps({"prompt": "Add 3 and 4."}).encode()
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            decision = json.load(response)
        with sqlite3.connect(tmp_path / "gateway.db") as store:
            (kept,) = store.execute("SELECT chosen, artifact FROM decisions")
        assert kept == (decision["model"], read_manifest(artifact)["checksum"])
        health = found[1].replace("/v1", "/health")
        with urllib.request.urlopen(health, timeout=30) as response:
            assert json.load(response) == {"status": "ok", "models": 4}
        ask = {"model": router.models[0], "messages": [{"role": "user", "content": "Hello."}]}
        request = urllib.request.Request(f"{found[1]}/chat/completions", json.dumps(ask).encode())
        with pytest.raises(urllib.error.HTTPError, match="502"):  # nobody is at port 9
            urllib.request.urlopen(request, timeout=30)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith("{")]
    assert json.loads(line)["status"] == 502
    assert decision["policy"] == {"cost_weight": 0.0, "effect_weight": 1.0}
    assert decision["model"] in router.models


def test_what_cannot_work_is_told_before_the_port_opens(
    invoke: Invoke,
    artifact: Path,
    upstreams: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*words: object) -> str:
        words = ("--store", tmp_path / "gateway.db", *words)
        status, shown, errors = invoke("serve", artifact, "--upstreams", upstreams, *words)
        assert (status, shown) == (2, "")
        assert errors.count("\n") == 1
        return errors

    assert "--host 0.0.0.0 can be reached from other machines" in fail("--host", "0.0.0.0")
    assert "--key-env MY_KEY: the environment variable holds no key" in fail("--key-env", "MY_KEY")
    assert "No model satisfies the policy" in fail("--max-cost-usd", "1e-12")
    assert "none.yaml" in fail("--routes", tmp_path / "none.yaml")
    assert "nowhere.redact cannot be imported" in fail("--redact", "nowhere.redact")
    (tmp_path / "text").write_text("no store " * 100)
    assert "cannot be opened (file is not a database)" in fail("--store", tmp_path / "text")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Cannot listen on 127.0.0.1 port {port} (" in fail("--port", port)
    upstreams.write_text("upstreams: {nobody: {}}")
    assert "'nobody' is no model of the pool" in fail()
