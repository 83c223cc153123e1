"""The router as an MLflow model: logged, registered, loaded with pickle forbidden, and loaded as a
router again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES
from graphrouter.exceptions import ArtifactError, MissingExtraError
from graphrouter.router.graph_router import GraphRouter
from graphrouter.tracking import TrackedRun
from graphrouter.tracking.answers import COLUMNS
from graphrouter.tracking.mlflow_store import quiet_mlflow
from graphrouter.tracking.registered_model import EXAMPLE_PROMPT, register_router

PROMPTS = ["Add 17 and 25.", "Translate 'good morning' into French."]


@pytest.fixture(scope="module")
def registered(
    store: str, artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URI of a registered router, in the store that MLFLOW_TRACKING_URI names."""
    from graphrouter.tracking import Tracking, open_run

    with open_run(Tracking(store, "registered"), "mine") as run:
        run.log_files(artifact, folder="artifact")
        uri = register_router(run, artifact, name="mine")
        assert uri == "models:/mine/1"
        yield uri


@pytest.fixture
def named_store(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)


@pytest.fixture
def load_model(
    registered: str, named_store: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    """MLflow's own way to load it, with pickle forbidden."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")

    def load() -> Any:
        with quiet_mlflow():
            import mlflow.pyfunc

            return mlflow.pyfunc.load_model(registered)

    return load


def test_mlflow_loads_it_without_pickle_and_it_answers_as_the_router(
    load_model: Callable[[], Any], router: GraphRouter
) -> None:
    model = load_model()
    found = model.predict(pd.DataFrame({"prompt": PROMPTS}))
    decisions = router.route_batch(PROMPTS)
    assert list(found.columns) == list(COLUMNS)
    assert found["model"].tolist() == [decision.model for decision in decisions]
    assert found["effect"].tolist() == [decision.effect for decision in decisions]
    cheap = model.predict(pd.DataFrame({"prompt": PROMPTS}), params={"preset": "cost_first"})
    expected = router.route_batch(PROMPTS, policy=gr.Policy.preset("cost_first"))
    assert cheap["model"].tolist() == [decision.model for decision in expected]


def test_a_bad_parameter_is_mlflows_error(load_model: Callable[[], Any]) -> None:
    with quiet_mlflow():
        from mlflow.exceptions import MlflowException
    model = load_model()
    with pytest.raises(MlflowException, match="unknown preset 'cheap'") as caught:
        model.predict(pd.DataFrame({"prompt": PROMPTS}), params={"preset": "cheap"})
    assert caught.value.get_http_status_code() == 400
    with pytest.raises(MlflowException, match="prompt"):
        model.predict(pd.DataFrame({"text": PROMPTS}))


def test_what_lies_in_the_model(client: Any, registered: str, tmp_path: Path) -> None:
    version = client.get_model_version("mine", "1")
    [model] = client.search_logged_models(
        [client.get_experiment_by_name("registered").experiment_id]
    )
    assert (version.status, version.run_id) == ("READY", model.source_run_id)
    assert (model.name, model.status.value) == ("router", "READY")
    folder = Path(model.artifact_location.removeprefix("file://"))
    about = yaml.safe_load((folder / "MLmodel").read_text())
    assert (
        about["flavors"]["python_function"]["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    )
    needed = [
        line
        for line in (folder / "requirements.txt").read_text().split()
        if not line.startswith("mlflow==")
    ]
    assert needed == [f"graphrouter=={gr.__version__}"]
    assert EXAMPLE_PROMPT in (folder / "input_example.json").read_text()
    assert not [file.name for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle")]
    inputs = yaml.safe_load(about["signature"]["inputs"])
    assert [(column["name"], column["required"]) for column in inputs] == [
        ("prompt", True),
        ("task", False),
    ]


@pytest.mark.usefixtures("named_store")
def test_load_router_takes_what_mlflow_has(
    registered: str, router: GraphRouter, client: Any, tmp_path: Path
) -> None:
    client.set_registered_model_alias("mine", "best", "1")
    run_id = client.get_model_version("mine", "1").run_id
    for uri in (
        registered,
        "models:/mine@best",
        f"runs:/{run_id}/artifact",
        f"runs:/{run_id}/router",
    ):
        loaded = gr.load_router(uri)
        assert isinstance(loaded, gr.GraphRouter)
        np.testing.assert_array_equal(
            loaded.predict(PROMPTS).effect, router.predict(PROMPTS).effect
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("named_store")
def test_commands_take_what_mlflow_has_and_never_write_there(
    registered: str, world: Path, invoke: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    status, shown, _ = invoke(
        "evaluate", registered, world, "--baselines", "best_single", "--draws", 20, "--json", "-"
    )
    assert status == 0
    assert "graphrouter" in json.loads(shown)["settings"]["task_hidden"]["routers"]
    model = gr.load_router(registered).models[0]
    status, _, errors = invoke("pool", "remove", registered, model)
    assert (status, "stays as it is. Name a folder with --out." in errors) == (2, True)
    status, _, _ = invoke("pool", "remove", registered, model, "--out", tmp_path / "smaller")
    assert status == 0
    assert model not in gr.load_router(tmp_path / "smaller").models


@pytest.mark.usefixtures("named_store")
@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/mine/99", r"No router at models:/mine/99 in sqlite:///.*mlflow\.db: .*not found"),
        ("models:/nobody/1", "No router at models:/nobody/1 in .*not found"),
        ("models:/mine@nobody", "No router at models:/mine@nobody in .*not found"),
        (
            "runs:/0123456789abcdef/router",
            "No router at runs:/0123456789abcdef/router in .*not found",
        ),
    ],
)
def test_what_mlflow_lacks_is_one_line(registered: str, uri: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        gr.load_router(uri)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactError,
        match="there is no MLflow store at sqlite:///mlflow.db. Name yours in MLFLOW_TRACKING_URI",
    ):
        gr.load_router("models:/mine/1")
    assert list(tmp_path.iterdir()) == []


def test_loading_without_mlflow_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(
        MissingExtraError,
        match=r"Loading models:/mine/1 needs .*pip install 'graphrouter\[mlflow\]'",
    ):
        gr.load_router("models:/mine/1")


@pytest.mark.usefixtures("named_store")
def test_a_model_that_is_no_router_is_refused(tracked: TrackedRun, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: model.pkl\n")
    tracked.log_files(tmp_path / "MLmodel", folder="model")
    with pytest.raises(
        ArtifactError, match=f"The model at runs:/{tracked.run_id}/model is no router"
    ):
        gr.load_router(f"runs:/{tracked.run_id}/model")


@pytest.mark.usefixtures("named_store")
def test_a_baseline_can_be_registered_too(tracked: TrackedRun, tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    baseline = BASELINES["knn"].fit(data, gr.load_config(overrides=["encoder.name=hashing"]))
    baseline.save(tmp_path / "knn")
    uri = register_router(tracked, tmp_path / "knn", name="simple")
    assert uri == "models:/simple/1"
    np.testing.assert_array_equal(
        gr.load_router(uri).predict(PROMPTS).effect, baseline.predict(PROMPTS).effect
    )


def test_a_name_that_mlflow_refuses_is_said_and_stops_nothing(
    tracked: TrackedRun, artifact: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert register_router(tracked, artifact, name="a/b") is None
    assert "cannot contain '/'" in caplog.text
    assert not tracked.is_on
