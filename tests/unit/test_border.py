"""What callers hand in by mistake is refused with one line that says what was expected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import find_router
from graphrouter.config import parse_config
from graphrouter.data import describe_dataset
from graphrouter.policy import parse_policy

FAST = gr.load_config(
    overrides=[
        "encoder.name=hashing",
        "encoder.dimension=16",
        "training.max_epochs=0",
        "training.steps_per_epoch=1",
    ]
)


TABLES = ("queries", "models", "outcomes")
ANSWERS = {"prompt": ["a", "a"], "model": ["x", "y"], "effect": [0, 1]}


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=60, num_models=3).data


@pytest.fixture(scope="module")
def router(data: gr.RoutingDataset) -> gr.GraphRouter:
    return gr.GraphRouter.fit(data, FAST)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gr.load_router(None), "None stands for the path of an artifact; expected a text"),  # type: ignore[arg-type]
        (lambda: gr.load_router("a\0b"), "stands for the path of an artifact"),
        (lambda: gr.load_dataset(None), "None stands for the path of a dataset"),  # type: ignore[arg-type]
        (lambda: gr.load_router(""), "'' stands for the path of an artifact; expected a text"),
        (
            lambda: gr.load_dataset(["a"] * 1000),
            r"\['a', 'a', 'a', ...\] \(1,000 in all\) stands for",
        ),  # type: ignore[arg-type]
        (lambda: gr.load_config(3), "3 stands for the path of settings"),  # type: ignore[arg-type]
        (lambda: gr.simulate(num_queries="a"), "num_queries is 'a'; expected a whole number"),  # type: ignore[arg-type]
        (lambda: gr.simulate(num_models=2.5), r"num_models is 2\.5; expected a whole number"),  # type: ignore[arg-type]
        (lambda: gr.simulate(missing="all"), "missing is 'all'; expected a share"),  # type: ignore[arg-type]
        (lambda: find_router(3), "A int stands for a router; expected its name"),  # type: ignore[arg-type]
        (lambda: parse_policy("x"), "Policy: a policy was to be made of a str; expected a mapping"),  # type: ignore[arg-type]
        (lambda: parse_policy({"preset": ["balanced"]}), r"unknown preset \['balanced'\]"),
        (
            lambda: parse_config([1]),
            r"configuration: received \[1\]; expected a mapping of settings",
        ),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(gr.GraphRouterError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.save(None), "None stands for the path of an artifact"),
        (lambda r: r.remove_model(["a"]), "A list stands for a model; expected its name"),
        (lambda r: r.set_price(3, input_usd_per_mtok=1, output_usd_per_mtok=1), "A int stands"),
        (
            lambda r: r.set_price(r.models[0], input_usd_per_mtok=None, output_usd_per_mtok=1),
            "input_usd_per_mtok is None; expected US dollars per million tokens",
        ),
        (lambda r: r.route("a", task=3), "task is a int; expected a string"),
        (lambda r: r.route(None), "prompt is a NoneType; expected a string"),
        (lambda r: r.route("a", policy={"cost_weight": 1}), "policy is a dict; expected a Policy"),
        (lambda r: r.route("a", policy=0), "policy is a int; expected a Policy"),
        (lambda r: r.save(""), "'' stands for the path of an artifact"),
        (
            lambda r: r.route("a", policy=gr.Policy(fallback="")),
            "The policy names '', which is not",
        ),
        (lambda r: r.route("a", policy=gr.Policy(safe_model="")), "The policy names '', which is"),
        (
            lambda r: r.calibrate_policy(pd.DataFrame({"prompt": ["a"]}), keep=0.9),
            r"calibrate_policy received a DataFrame.* Make one with .*read_answers\(table\)",
        ),
        (lambda r: r.evaluate({"prompt": ["a"]}), "evaluate received a dict.* .*read_answers"),
        (lambda r: r.evaluate("data"), "evaluate received a str.* Load one with .*load_dataset"),
        (lambda _: describe_dataset(pd.DataFrame()), "describe_dataset received .*read_answers"),
        (
            lambda _: gr.RoutingDataset.from_frames(**dict.fromkeys(TABLES, pd.DataFrame(ANSWERS))),
            "One table with a row an answer is read by graphrouter.data.read_answers",
        ),
    ],
)
def test_a_router_refuses_what_makes_no_sense(
    router: gr.GraphRouter, call: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(gr.GraphRouterError, match=message) as caught:
        call(router)
    assert "\n" not in str(caught.value)


def test_a_split_that_is_none_is_refused(data: gr.RoutingDataset) -> None:
    with pytest.raises(gr.GraphRouterError, match="split is a tuple; expected a Split"):
        gr.GraphRouter.fit(data, FAST, split=(1, 2, 3))  # type: ignore[arg-type]


class Broken:
    """A text encoder of somebody's own that breaks the contract in one way."""

    id, revision, dimension = "mine/broken", "1", 8

    def __init__(self, vectors: Callable[[int], Any]) -> None:
        self._vectors = vectors

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Any:
        return self._vectors(len(texts))


def fail(count: int) -> Any:
    raise OSError(f"no weights\nfor {count} texts")


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (lambda n: np.ones((n, 5), np.float32), r"gave vectors of shape \(48, 5\); expected"),
        (lambda n: np.full((n, 8), np.nan), "gave a vector that is not finite for text 0 of 48"),
        (lambda n: [["a"] * 8] * n, "failed on 48 texts: ValueError"),
        (lambda n: None, "The text encoder Broken"),
        (fail, "failed on 48 texts: OSError: no weights for 48 texts"),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_named(
    data: gr.RoutingDataset, vectors: Callable[[int], Any], message: str
) -> None:
    with pytest.raises(gr.GraphRouterError, match=message) as caught:
        gr.GraphRouter.fit(data, FAST, encoder=Broken(vectors))
    assert "\n" not in str(caught.value)


def test_vectors_in_a_list_are_vectors(data: gr.RoutingDataset, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    encoder = Broken(lambda n: rng.standard_normal((n, 8)).tolist())
    router = gr.GraphRouter.fit(data, FAST, encoder=encoder)
    assert router.route("a").model in router.models
