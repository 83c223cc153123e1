"""`graphrouter envoy`: a real process on loopback that answers gRPC until it is told to stop."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc

from graphrouter.policy import Policy
from graphrouter.router.graph_router import GraphRouter
from tests.unit.gateway.test_external_processor import (
    CHAT,
    MODEL,
    body,
    headers,
    open_stream,
    written,
)

Invoke = Callable[..., tuple[int, str, str]]


def test_it_answers_until_it_is_told_to_stop(artifact: Path, router: GraphRouter) -> None:
    words = [sys.executable, "-m", "graphrouter", "envoy", str(artifact), "--port", "0"]
    with subprocess.Popen(
        [*words, "--preset", "performance_first", "--keep-body"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        shown = process.stdout.readline()
        found = re.fullmatch(r"Answering Envoy at (127\.0\.0\.1:\d+)\n", shown)
        assert found is not None, shown
        chat = {"model": "auto", "messages": [{"role": "user", "content": "Add 3 and 4."}]}
        with grpc.insecure_channel(found[1]) as channel:
            asked = iter([headers(CHAT), body(chat)])
            *_, last = open_stream(channel)(asked, timeout=30)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    best = Policy.preset("performance_first")
    assert written(last)[MODEL] == router.route("Add 3 and 4.", policy=best).model


def test_what_cannot_work_is_told_before_the_port_opens(invoke: Invoke, artifact: Path) -> None:
    status, _, error = invoke("envoy", str(artifact), "--max-cost-usd", "1e-12")
    assert status == 2
    assert "No model satisfies the policy" in error
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, error = invoke("envoy", str(artifact), "--port", str(taken.getsockname()[1]))
    assert status == 2
    assert "--port" in error
