"""`graphrouter feedback`: graded answers as a dataset, and in an artifact."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

import graphrouter as gr
from graphrouter.gateway.memory import name_artifact
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.feedback_learner import read_applied
from graphrouter.gateway.store.store_tables import calls, outcomes
from graphrouter.gateway.store.stored_outcomes import add_grade, read_grade

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


def write_grades(place: Path, *grades: dict[str, object]) -> None:
    store = Store.open(place)
    with store.engine.begin() as connection:
        for grade in grades:
            add_grade(store, connection, read_grade(grade), None)
    store.close()


def test_graded_answers_become_a_dataset(invoke: Invoke, place: Path, tmp_path: Path) -> None:
    write_grades(
        place,
        {"model": "nano", "prompt": "Add 3 and 4.", "task": "sums", "effect": 1.0},
        {"model": "nano", "prompt": "Add 3 and 4.", "effect": 0.5},
        {"model": "grand", "prompt": "Add 3 and 4.", "effect": 1.0},
        {"model": "grand", "prompt": "Say hello.", "effect": 0.0},
    )
    status, shown, _ = invoke("feedback", "export", place, "--out", tmp_path / "graded")
    assert status == 0
    assert shown.startswith("Wrote 3 outcomes to ")
    data = gr.load_dataset(tmp_path / "graded")
    assert data.queries["prompt"].tolist() == ["Add 3 and 4.", "Say hello."]
    assert data.queries["task"].fillna("").tolist() == ["sums", ""]
    effects = data.outcome_matrix("effect")[:, [data.pool.position(m) for m in ("nano", "grand")]]
    assert effects[0].tolist() == [0.75, 1.0]
    assert effects[1, 1] == 0.0


def test_a_store_without_prompts_has_no_dataset(
    invoke: Invoke, place: Path, tmp_path: Path
) -> None:
    Store.open(place).close()
    status, _, errors = invoke("feedback", "export", place, "--out", tmp_path / "graded")
    assert status == 2
    assert "The store has 0 grades and the prompt of none" in errors


def test_grades_that_are_left_out_are_named(invoke: Invoke, place: Path, tmp_path: Path) -> None:
    prompts = ("Add 3 and 4.", "Say hello.", "Say bye.")
    write_grades(
        place,
        *({"id": p[:5], "model": "nano", "prompt": p, "effect": 1.0} for p in prompts),
        {"id": "other", "model": "grand", "prompt": "Say bye.", "effect": 0.0},
    )
    store = Store.open(place)
    with store.engine.begin() as connection:
        for id_, changed in (("Add 3", {"context": '[""]'}), ("Say h", {"prompt": ""})):
            connection.execute(sa.update(outcomes).where(outcomes.c.id == id_).values(changed))
    store.close()
    status, shown, errors = invoke("feedback", "export", place, "--out", tmp_path / "graded")
    assert (status, errors) == (0, "")
    told = " ".join(shown.split())
    assert "1 grade without their prompts left out" in told
    assert "1 grade with a context or embedding that cannot be read (Add 3) left out" in told
    assert gr.load_dataset(tmp_path / "graded").queries["prompt"].tolist() == ["Say bye."]


def test_an_artifact_learns_what_is_new_once(
    invoke: Invoke, artifact: Path, place: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(artifact, mine)
    before = gr.load_router(mine)
    prompt, model = "Which tarn is the deepest?", before.models[0]
    write_grades(
        place,
        {"model": model, "prompt": prompt, "effect": 0.0},
        {"model": "gone", "prompt": prompt, "effect": 0.0},
    )
    assert "2 graded answers" in invoke("feedback", "apply", place, mine)[1]
    after = gr.load_router(mine)
    assert len(after.support.outcomes) == len(before.support.outcomes) + 1
    store = Store.open(place)
    with store.reader.connect() as connection:
        assert read_applied(connection, name_artifact(mine)) == 2
        assert read_applied(connection, name_artifact(artifact)) == 0
        assert connection.execute(calls.select()).all() == []
    store.close()
    assert "0 graded answers" in invoke("feedback", "apply", place, mine)[1]
