"""States in artifacts: loading takes them as they are, or computes them anew; never wrong ones."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.artifact import ArtifactContents, read_artifact, write_artifact
from graphrouter.exceptions import ArtifactError
from graphrouter.router import graph_router, saved_states
from graphrouter.router.saved_states import STATES_VERSION, pack_states, sign_states
from graphrouter.router.states import States, make_states
from graphrouter.scoring.operations import Array

DATA = Path(__file__).parents[2] / "data"
KNOWN = DATA / f"states{STATES_VERSION}"


@pytest.fixture(scope="module")
def folder(router: gr.GraphRouter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("states") / "router"
    router.save(path)
    return path


@pytest.fixture
def prompts(data: gr.RoutingDataset) -> list[str]:
    return [*data.queries["prompt"][:20], "Something else?", ""]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """States must not be computed."""

    def fail(*_: Any) -> States:
        raise AssertionError("states were computed")

    monkeypatch.setattr(graph_router, "make_states", fail)


def compute_anew(router: gr.GraphRouter) -> States:
    return make_states(router.learned, router.support, router.bills)


def tensors_of(part: Any, name: str = "") -> Iterator[tuple[str, Array]]:
    """Every tensor in a named tuple or dataclass, at any depth."""
    fields = dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part._asdict()  # type: ignore[arg-type]
    for key, value in fields.items():
        if isinstance(value, np.ndarray):
            yield f"{name}{key}", value
        elif hasattr(value, "_asdict") or dataclasses.is_dataclass(value):
            yield from tensors_of(value, f"{name}{key}.")


def assert_same_bits(received: States, expected: States) -> None:
    found, wanted = dict(tensors_of(received)), dict(tensors_of(expected))
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].shape == tensor.shape, name
        assert found[name].strides == tensor.strides, name
        assert found[name].tobytes() == tensor.tobytes(), name
    assert received.familiarity.num_nearest == expected.familiarity.num_nearest


def assert_same_answers(received: gr.Predictions, expected: gr.Predictions) -> None:
    for field in dataclasses.fields(expected):
        one, other = getattr(received, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert one.tobytes() == other.tobytes(), field.name


def rewrite(
    folder: Path,
    target: Path,
    *,
    manifest: Mapping[str, Any] | None = None,
    states: Callable[[dict[str, Array]], dict[str, Array]] = dict,
    sign: Callable[[dict[str, Any]], dict[str, Any]] = sign_states,
) -> Path:
    """The artifact with other contents, as if a release had written them so."""
    read = read_artifact(folder)
    tensors = {**read.tensors, "states": states(dict(read.tensors["states"]))}
    rest = {key: value for key, value in read.manifest.items() if key not in ("checksum", "states")}
    contents = ArtifactContents({**rest, **(manifest or {})}, tensors, read.tables)
    write_artifact(target, contents, sign=sign)
    return target


@pytest.mark.usefixtures("refuse")
def test_loading_takes_the_states_as_they_are(
    folder: Path, router: gr.GraphRouter, prompts: list[str]
) -> None:
    loaded = gr.load_router(folder)
    assert isinstance(loaded, gr.GraphRouter)
    assert_same_bits(loaded._states, router._states)
    assert_same_bits(loaded._states, compute_anew(loaded))
    for tasks in (None, [router.known_tasks[0]] * len(prompts)):
        received, expected = (each.predict(prompts, tasks=tasks) for each in (loaded, router))
        assert_same_answers(received, expected)


@pytest.mark.parametrize(
    "parts",
    [
        ["similar_queries", "text_skills", "profile"],
        ["text_easiness", "query_slopes", "similar_residuals"],
        ["task_discriminant"],
    ],
    ids="-".join,
)
def test_states_of_networks_that_lack_parts(
    parts: list[str], data: gr.RoutingDataset, prompts: list[str], tmp_path: Path
) -> None:
    config = gr.load_config(overrides=[f"network.leave_out={json.dumps(parts)}"])
    router = gr.GraphRouter.fit(data, config, instant=True)
    router.save(tmp_path / "less")
    loaded = gr.load_router(tmp_path / "less")
    assert isinstance(loaded, gr.GraphRouter)
    assert_same_bits(loaded._states, router._states)
    assert_same_answers(loaded.predict(prompts), router.predict(prompts))


def test_a_router_that_was_loaded_goes_on_as_one_that_was_not(
    folder: Path, router: gr.GraphRouter, prompts: list[str], tmp_path: Path
) -> None:
    loaded, first = gr.load_router(folder), router.models[0]
    assert isinstance(loaded, gr.GraphRouter)
    card = gr.ModelCard(model="late", description="A small model.")
    for change in (
        lambda it: it.add_model(card),
        lambda it: it.remove_model(first),
        lambda it: it.set_price(first, input_usd_per_mtok=1.0, output_usd_per_mtok=3.0),
    ):
        changed = change(loaded)
        assert_same_answers(changed.predict(prompts), change(router).predict(prompts))
        changed.save(tmp_path / "changed", overwrite=True)
        again = gr.load_router(tmp_path / "changed")
        assert_same_answers(again.predict(prompts), changed.predict(prompts))


@pytest.mark.usefixtures("refuse")
def test_saving_what_was_loaded_is_no_new_version(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    gr.load_router(folder).save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_states_of_another_release_are_computed_anew(
    folder: Path,
    prompts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(saved_states, "STATES_VERSION", STATES_VERSION + 1)
        other = rewrite(folder, tmp_path / "other", states=lambda _: {"new": np.zeros(1)})
    with caplog.at_level(logging.INFO, logger="graphrouter"):
        router = gr.load_router(other)
    assert f"of version {STATES_VERSION + 1}, and this release makes" in caplog.text
    assert_same_answers(router.predict(prompts), gr.load_router(folder).predict(prompts))


def test_states_of_other_contents_are_computed_anew_and_warned_of(
    folder: Path, prompts: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = read_artifact(folder).manifest["states"]

    def falsify(states: dict[str, Array]) -> dict[str, Array]:
        return {name: tensor * 0 for name, tensor in states.items()}

    other = rewrite(
        folder,
        tmp_path / "other",
        states=falsify,
        manifest={"states": {**old, "made_of": "0" * 64}},
        sign=dict,
    )
    router = gr.load_router(other)
    assert "were made of other contents than lie beside them" in caplog.text
    assert_same_answers(router.predict(prompts), gr.load_router(folder).predict(prompts))


@pytest.mark.parametrize("name", ["weights", "support_outcomes", "config", "models_before_bills"])
def test_what_states_are_made_of_is_signed(folder: Path, name: str) -> None:
    manifest = read_artifact(folder).manifest
    other = json.loads(json.dumps(manifest))
    if name in other["files"]:
        other["files"][name]["sha256"] = "0" * 64
    else:
        other[name] = "something else"
    assert sign_states(other)["states"] != manifest["states"]
    other = {**manifest, "metrics": {}, "changes": [], "libraries": {}}
    assert sign_states(other)["states"] == manifest["states"]


def test_an_artifact_without_states_is_read_and_gets_them_when_it_is_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="graphrouter"):
        router = gr.load_router(DATA / "format6" / "graphrouter")
    assert "holds no states: they are computed" in caplog.text
    router.save(tmp_path / "new")
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="graphrouter"):
        again = gr.load_router(tmp_path / "new")
    assert "states" not in caplog.text
    assert_same_answers(again.predict(["1 + 1?"]), router.predict(["1 + 1?"]))


def _without(name: str) -> Callable[[dict[str, Array]], dict[str, Array]]:
    return lambda states: {key: tensor for key, tensor in states.items() if key != name}


def _with(name: str, tensor: Array) -> Callable[[dict[str, Array]], dict[str, Array]]:
    return lambda states: {**states, name: tensor}


@pytest.mark.parametrize(
    "states",
    [
        _without("key"),
        _without("base.ability"),
        _without("familiarity.usual"),
        _without("task_evidence.axes"),
        _without("messages.values.0"),
        _with("key", np.zeros((3, 3))),
        _with("model", np.zeros((2, 32))),
        _with("messages.row_start", np.zeros(0, dtype=np.int64)),
        lambda states: {**states, "messages.model": states["messages.model"] + 5},
        lambda states: {**states, "messages.row_start": states["messages.row_start"][::-1]},
        lambda states: {**states, "task_of_query": states["task_of_query"].astype(np.int16) - 1},
    ],
)
def test_states_that_no_release_makes_are_refused(
    folder: Path, tmp_path: Path, states: Callable[[dict[str, Array]], dict[str, Array]]
) -> None:
    rewrite(folder, tmp_path / "made_up", states=states)
    with pytest.raises(ArtifactError, match="is not of this release"):
        gr.load_router(tmp_path / "made_up")


def test_numbers_are_as_narrow_as_keeps_their_bits(router: gr.GraphRouter) -> None:
    packed = pack_states(router._states)
    assert "query_text" not in packed
    assert packed["messages.model"].dtype == np.uint8
    assert packed["messages.values.0"].dtype == np.float64
    for number, dtype in (
        (3.0, np.uint8),
        (-3.0, np.int16),
        (1e5, np.int32),
        (0.5, np.float32),
        (-0.0, np.float32),  # a whole number has no sign where it is 0
        (0.1, np.float64),
        (float("inf"), np.float32),
    ):
        column = np.array([number, 1.0])
        narrow = saved_states._narrow(column)
        assert narrow.dtype == dtype
        assert narrow.astype(np.float64).tobytes() == column.tobytes()


def test_numbers_of_states_are_those_of_their_version() -> None:
    """Where this fails, code makes other states than it did, and saved ones would be wrong.

    Raise `STATES_VERSION` and write the artifact of the new one in the place of the old: load that,
    and save it as `tests/data/statesN`. Its models were asked by task, and some by chance, so that
    all parts of the states have something to say.
    """
    router = gr.load_router(KNOWN)
    assert isinstance(router, gr.GraphRouter)
    saved = dict(tensors_of(router._states))
    anew = dict(tensors_of(compute_anew(router)))
    assert list(saved) == list(anew)
    for name, tensor in anew.items():
        np.testing.assert_allclose(
            saved[name], tensor, rtol=1e-9, atol=1e-9, err_msg=f"{name}: raise STATES_VERSION"
        )


def test_loading_takes_counts_and_what_outcomes_have_in_common(
    router: gr.GraphRouter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed anew")

    expected = router.outcome_covariance, router.support.count_tokens()
    computed = "router.states._estimate_covariances", "features.tables.fit_token_rates"
    for name in (*computed, "router.parts.Bills.read"):
        monkeypatch.setattr(f"graphrouter.{name}", refuse)
    monkeypatch.setattr("graphrouter.router.storage.count_chars", refuse)
    loaded = gr.GraphRouter.load(folder)
    received = loaded.outcome_covariance, loaded.support.count_tokens()
    for found, wanted in zip(received, expected, strict=True):
        for name, value in wanted._asdict().items():
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
    np.testing.assert_array_equal(loaded.support.raw.num_chars, router.support.raw.num_chars)
    for name, value in router.bills.to_arrays().items():
        np.testing.assert_array_equal(loaded.bills.to_arrays()[name], value, err_msg=name)
    assert (loaded.bills.models, loaded.bills.old_models) == (router.models, frozenset())
    repriced = loaded.set_price(loaded.models[0], input_usd_per_mtok=1.0, output_usd_per_mtok=2.0)
    assert repriced.outcome_covariance is loaded.outcome_covariance
