"""Artifacts on a hub, through its own client: pushed, replaced, fetched, refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.artifact import read_manifest
from graphrouter.exceptions import ArtifactError
from graphrouter.sharing import pull_artifact, push_artifact
from tests.hub import Hub, serve_hub

pytestmark = pytest.mark.filterwarnings(  # the client hands bytes to its HTTP library as it did
    "ignore:Use 'content=:DeprecationWarning"
)
PROMPTS = ["What is 17 plus 4?", "Name three rivers."]


@pytest.fixture(autouse=True)
def plain_transfer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the stand-in speaks it, with no token of whoever runs the tests."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub() as found:
        yield found
    assert found.unknown == []


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    return gr.GraphRouter.fit(gr.simulate(num_queries=80, num_models=3).data, instant=True)


@pytest.fixture
def artifact(router: gr.GraphRouter, tmp_path: Path) -> Path:
    router.save(tmp_path / "router")
    return tmp_path / "router"


def test_what_is_pushed_is_what_is_pulled(
    hub: Hub, artifact: Path, router: gr.GraphRouter, tmp_path: Path
) -> None:
    address = push_artifact(artifact, "me/mine", endpoint=hub.endpoint)
    assert address == f"{hub.endpoint}/me/mine/commit/{hub.commit_id('me/mine')}"
    assert hub.private["me/mine"]
    fetched = gr.load_router(pull_artifact("me/mine", tmp_path / "new", endpoint=hub.endpoint))
    there, here = fetched.predict(PROMPTS), router.predict(PROMPTS)
    assert fetched.models == router.models
    np.testing.assert_array_equal(there.effect, here.effect)
    np.testing.assert_array_equal(there.cost_usd, here.cost_usd)


def test_prompts_stay_at_home_unless_asked_for(
    hub: Hub, artifact: Path, router: gr.GraphRouter, tmp_path: Path
) -> None:
    solved = router.support.queries["prompt"]
    push_artifact(artifact, "me/mine", endpoint=hub.endpoint)
    without = gr.load_router(pull_artifact("me/mine", tmp_path / "a", endpoint=hub.endpoint))
    assert without.support.queries["prompt"].str.startswith("(prompt withheld: ").all()
    assert "is not in it" in hub.files("me/mine")["README.md"].decode()
    push_artifact(artifact, "me/open", with_prompts=True, private=False, endpoint=hub.endpoint)
    within = gr.load_router(pull_artifact("me/open", tmp_path / "b", endpoint=hub.endpoint))
    assert within.support.queries["prompt"].tolist() == solved.tolist()
    assert "in clear text" in hub.files("me/open")["README.md"].decode()
    assert not hub.private["me/open"]


def test_a_second_push_leaves_one_version_and_the_files_of_others(
    hub: Hub, artifact: Path, router: gr.GraphRouter, tmp_path: Path
) -> None:
    push_artifact(artifact, "me/mine", endpoint=hub.endpoint)
    hub.commits["me/mine"][-1]["notes.txt"] = b"mine"
    first = hub.commit_id("me/mine")
    smaller = router.remove_model(router.models[0])
    smaller.save(artifact)
    push_artifact(artifact, "me/mine", endpoint=hub.endpoint)
    names = set(hub.files("me/mine"))
    newest = pull_artifact("me/mine", tmp_path / "new", endpoint=hub.endpoint)
    files = {entry["file"] for entry in read_manifest(newest)["files"].values()}
    assert names == {*files, "manifest.json", "README.md", ".gitattributes", "notes.txt"}
    assert {path.name for path in newest.iterdir()} >= {*files, "manifest.json"}
    assert not (newest / "notes.txt").exists()
    assert gr.load_router(newest).models == smaller.models
    with pytest.raises(ArtifactError, match="Check name and revision"):
        pull_artifact("me/mine", tmp_path / "x", revision="no-such", endpoint=hub.endpoint)
    assert first != hub.commit_id("me/mine")


def test_damage_on_the_way_leaves_nothing(hub: Hub, artifact: Path, tmp_path: Path) -> None:
    push_artifact(artifact, "me/mine", endpoint=hub.endpoint)
    files = hub.commits["me/mine"][-1]
    name = next(name for name in files if name.startswith("weights."))
    files[name] = bytes([files[name][0] ^ 1]) + files[name][1:]
    with pytest.raises(ArtifactError, match="its checksum does not match"):
        pull_artifact("me/mine", tmp_path / "new", endpoint=hub.endpoint)
    assert not (tmp_path / "new" / "manifest.json").exists()


def test_a_repository_without_an_artifact(hub: Hub, tmp_path: Path) -> None:
    hub.commits["me/other"] = [{"config.json": b"{}"}]
    with pytest.raises(ArtifactError, match=r"answered 404 for me/other"):
        pull_artifact("me/other", tmp_path / "new", endpoint=hub.endpoint)
    assert not (tmp_path / "new").exists()


def test_nothing_is_pulled_over_what_is_there(hub: Hub, artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds an artifact already"):
        pull_artifact("me/mine", artifact, endpoint=hub.endpoint)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("Dear")
    with pytest.raises(ArtifactError, match="holds other files"):
        pull_artifact("me/mine", tmp_path / "full", endpoint=hub.endpoint)
    assert hub.requests == []


def test_who_may_not_is_told_how(artifact: Path, tmp_path: Path) -> None:
    with (
        serve_hub(token="right") as hub,
        pytest.raises(ArtifactError, match=r"answered 401 for me/mine: .* Log in: hf auth login"),
    ):
        push_artifact(artifact, "me/mine", endpoint=hub.endpoint)
    assert hub.commits == {}


def test_the_token_of_the_client_is_shown(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "right")
    with serve_hub(token="right") as hub:
        push_artifact(artifact, "me/mine", endpoint=hub.endpoint)
        pull_artifact("me/mine", tmp_path / "new", endpoint=hub.endpoint)
    assert read_manifest(tmp_path / "new")["kind"] == "graphrouter"


def test_a_name_that_is_none_and_a_hub_that_is_not_there(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"Received repository 'a b'; expected OWNER/NAME"):
        push_artifact(artifact, "a b", endpoint="http://127.0.0.1:9")
    with pytest.raises(ArtifactError, match=r"Could not talk to http://127\.0\.0\.1:9 "):
        pull_artifact("me/mine", tmp_path / "new", endpoint="http://127.0.0.1:9")
    with pytest.raises(ArtifactError, match="lies in MLflow"):
        push_artifact("models:/mine/1", "me/mine")


def test_a_baseline_goes_the_same_way(hub: Hub, tmp_path: Path) -> None:
    from graphrouter.bench.baselines import find_router

    data = gr.simulate(num_queries=80, num_models=3).data
    fitted = find_router("knn").fit(data)
    fitted.save(tmp_path / "knn")
    push_artifact(tmp_path / "knn", "me/knn", endpoint=hub.endpoint)
    card = hub.files("me/knn")["README.md"].decode()
    assert "A knn, made by graphrouter" in card
    assert "It holds no training prompts." in card
    fetched = gr.load_router(pull_artifact("me/knn", tmp_path / "new", endpoint=hub.endpoint))
    np.testing.assert_array_equal(fetched.predict(PROMPTS).effect, fitted.predict(PROMPTS).effect)
