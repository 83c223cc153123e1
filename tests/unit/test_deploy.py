"""What `deploy/` says is what the gateway has: options, paths, metrics, extras."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import pytest
import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

import graphrouter as gr
from graphrouter.cli.app import app
from graphrouter.gateway import Deployment, Memory, create_app
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.stored_calls import WhatIsKept

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "graphrouter.service").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def paths_and_metrics(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """Paths of a gateway, and the samples that it shows after a call."""
    data = gr.simulate(num_queries=60, num_models=3, seed=1).data
    hashing = gr.load_config(overrides=["encoder.name=hashing"])
    router = gr.GraphRouter.fit(data, hashing, instant=True)
    answer = {"choices": [{"message": {"role": "assistant", "content": "7"}}]}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))
    deployments = {
        name: [Deployment(name, "http://127.0.0.1:9/v1", {}, {"model": name}, 5, 0)]
        for name in router.models
    }
    place = tmp_path_factory.mktemp("store") / "gateway.db"
    memory = Memory(Store.open(place), WhatIsKept({}))
    made = create_app(router, deployments, memory=memory, transport=transport)
    with TestClient(made, base_url="http://127.0.0.1") as client:
        chat = {"model": "auto", "messages": [{"role": "user", "content": "Add 3 and 4."}]}
        assert client.post("/v1/chat/completions", json=chat).status_code == 200
        found = client.get("/metrics").text
    paths = {route.path for route in made.routes if hasattr(route, "path")}
    families = text_string_to_metric_families(found)
    names = {each.name for each in families}
    return paths, names


def known_options(command: str) -> set[str]:
    """Options of a command of `graphrouter`."""
    made: Any = typer.main.get_command(app)
    return {option for each in made.commands[command].params for option in each.opts}


def json_lists(kind: str) -> list[str]:
    """The words of an instruction of the Dockerfile."""
    (found,) = re.findall(rf"^{kind} (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


def test_the_image_is_started_with_options_that_there_are() -> None:
    words = json_lists("ENTRYPOINT") + json_lists("CMD")
    assert words[:2] == ["graphrouter", "serve"]
    assert {word for word in words if word.startswith("--")} <= known_options("serve")


def test_the_image_installs_what_the_project_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, flags=re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split())
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (torch,) = re.findall(r"torch==[\d.]+", DOCKERFILE)
    assert torch in makefile


def test_the_image_asks_whether_it_is_ready(
    paths_and_metrics: tuple[set[str], set[str]],
) -> None:
    (path,) = re.findall(r"HEALTHCHECK.*127\.0\.0\.1:8080(/\w+)", DOCKERFILE)
    assert path in paths_and_metrics[0]


def test_the_unit_is_started_with_options_that_there_are() -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT, flags=re.MULTILINE)
    words = shlex.split(line)
    assert words[1] == "serve"
    assert {word for word in words if word.startswith("--")} <= known_options("serve")
    assert "EnvironmentFile=" in UNIT


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd is installed")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "graphrouter.service"
    program = re.search(r"^ExecStart=(\S+)", UNIT, flags=re.MULTILINE)
    assert program is not None
    unit.write_text(UNIT.replace(program[1], "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stderr.splitlines() if "graphrouter.service" in line]
    assert told == []


def test_compose_names_files_and_variables_that_there_are() -> None:
    services = COMPOSE["services"]
    build = services["gateway"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert {"GATEWAY_KEY", "GRAPHROUTER_STORE"} <= set(services["gateway"]["environment"])
    assert "GATEWAY_KEY" in json_lists("CMD")
    for config in COMPOSE["configs"].values():
        assert "environment" in config or (DEPLOY / config["file"]).is_file()
    mounted = [each.split(":")[0] for each in services["grafana"]["volumes"]]
    assert all((DEPLOY / each).is_dir() for each in mounted)


def test_prometheus_asks_where_the_gateway_answers(
    paths_and_metrics: tuple[set[str], set[str]],
) -> None:
    found = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))
    (job,) = found["scrape_configs"]
    assert job["metrics_path"] in paths_and_metrics[0]
    (asked,) = job["dns_sd_configs"]
    assert asked["names"] == ["gateway"]
    assert asked["names"][0] in COMPOSE["services"]
    mounted = [each["target"] for each in COMPOSE["services"]["prometheus"]["configs"]]
    assert job["authorization"]["credentials_file"] in mounted


def test_the_board_shows_metrics_that_there_are(
    paths_and_metrics: tuple[set[str], set[str]],
) -> None:
    board = json.loads((DEPLOY / "grafana/dashboards/graphrouter.json").read_text("utf-8"))
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"graphrouter_\w+", target["expr"])
    }
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    shown = {name for name in paths_and_metrics[1] if not name.endswith("_created")}
    assert families == shown
    source = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text("utf-8")
    )
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {
        source["datasources"][0]["uid"]
    }


def test_the_store_may_be_named_by_the_environment() -> None:
    made: Any = typer.main.get_command(app)
    (store,) = [each for each in made.commands["serve"].params if "--store" in each.opts]
    assert store.envvar == "GRAPHROUTER_STORE"
