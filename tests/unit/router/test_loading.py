"""Routers of both kinds that are changed where they lie: nobody's change is lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Thread

import pytest

import graphrouter as gr
from graphrouter.artifact import list_versions
from graphrouter.exceptions import ArtifactError, BusyError
from graphrouter.locks import lock_folder

ROUTERS = Path(__file__).parents[2] / "data" / "format4"


def card(name: str) -> gr.ModelCard:
    return gr.ModelCard(
        model=name, description="A model.", input_usd_per_mtok=1, output_usd_per_mtok=2
    )


@pytest.fixture(params=["graphrouter", "knn"])
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shutil.copytree(ROUTERS / request.param, tmp_path / "live")
    return tmp_path / "live"


def test_the_second_of_two_who_loaded_the_same_router_is_refused(live: Path) -> None:
    first, second = gr.load_router(live), gr.load_router(live)
    first.add_model(card("one")).save(live)
    late = second.add_model(card("two"))
    with pytest.raises(ArtifactError, match="was changed after .*graphrouter.change_router"):
        late.save(live)
    assert gr.load_router(live).models[-1] == "one"
    late.save(live, overwrite=True)
    assert gr.load_router(live).models[-1] == "two"
    assert len(list_versions(live)) == 3, "what was overwritten is an older version"


def test_who_goes_on_with_what_was_saved_may_save_again(live: Path) -> None:
    router = gr.load_router(live)
    one = router.add_model(card("one"))
    two = one.add_model(card("two"))  # made before one is saved
    one.save(live)
    two.save(live)
    assert gr.load_router(live).models[-2:] == ("one", "two")
    with pytest.raises(ArtifactError, match="was changed after"):
        router.add_model(card("three")).save(live)  # it has neither


def test_a_copy_elsewhere_is_no_change_of_where_it_came_from(live: Path, tmp_path: Path) -> None:
    router = gr.load_router(live)
    router.save(tmp_path / "copy")
    router.add_model(card("one")).save(live)
    router.add_model(card("two")).save(tmp_path / "copy")
    assert gr.load_router(tmp_path / "copy").models[-1] == "two"


def test_a_change_reads_what_lies_there_now(live: Path) -> None:
    for name in ("one", "two", "three"):
        changed = gr.change_router(live, lambda router, name=name: router.add_model(card(name)))  # type: ignore[misc]
    assert changed.models[-3:] == ("one", "two", "three")
    assert gr.load_router(live).models == changed.models


def test_a_change_that_fails_changes_nothing(live: Path) -> None:
    before = {path.name: path.read_bytes() for path in live.iterdir()}
    with pytest.raises(ZeroDivisionError):
        gr.change_router(live, lambda router: 1 // 0)  # type: ignore[arg-type,return-value]
    assert {path.name: path.read_bytes() for path in live.iterdir()} == before
    with lock_folder(live, wait_s=0):
        pass


def test_a_change_where_there_is_no_artifact_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="No artifact at"):
        gr.change_router(tmp_path / "absent", lambda router: router)
    assert not (tmp_path / "absent").exists()
    with pytest.raises(ArtifactError, match="is a version in MLflow, which stays as it is"):
        gr.change_router("models:/mine/1", lambda router: router)


def test_a_training_where_another_goes_on_is_refused(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    few = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=1"])
    refused: list[BaseException] = []

    def train() -> None:
        try:
            gr.GraphRouter.fit(data, few, work_dir=tmp_path / "work")
        except BusyError as error:
            refused.append(error)

    with lock_folder(tmp_path / "work"):
        thread = Thread(target=train)
        thread.start()
        thread.join()
    assert "is being changed by process" in str(refused[0])
