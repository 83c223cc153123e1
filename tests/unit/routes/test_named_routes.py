"""Routes as people write them: read, refused, written back, applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import graphrouter as gr
from graphrouter.exceptions import (
    ConfigError,
    PolicyError,
    UnknownModelError,
    UnknownRouteError,
)
from graphrouter.routes import Route

GOOD: dict[str, Any] = {"name": "law", "description": "Contracts.", "model": "grand"}
EXAMPLE = Path(__file__).parents[3] / "examples" / "routes.yaml"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({**GOOD, "desciption": "x"}, "route 'law': unknown key 'desciption'. Did you mean"),
        ({"description": "x", "model": "a"}, "route 1: the key 'name' is missing"),
        ({**GOOD, "name": " "}, "the name is empty"),
        ({**GOOD, "name": "None "}, "the name 'None ' stands for prompts of no route"),
        ({"name": "law", "model": "a"}, "nothing says which prompts are meant"),
        ({**GOOD, "models": ["a"]}, "received models and model; expected exactly one"),
        ({"name": "law", "description": "x"}, "received none of them; expected exactly one"),
        ({**GOOD, "model": None, "models": []}, "models is empty"),
        ({**GOOD, "examples": ["x", " "]}, "example 2 is empty"),
        ({**GOOD, "examples": "x"}, "examples = 'x' is not accepted"),
        ({**GOOD, "model": None, "policy": "cheap"}, "unknown preset 'cheap'"),
        ({**GOOD, "model": None, "policy": {"max_cost": 1}}, "Did you mean 'max_cost_usd'?"),
        (
            {**GOOD, "model": None, "policy": {"allowed": ["a"], "excluded": ["a"]}},
            "'a' is both allowed and excluded",
        ),
        ({**GOOD, "model": True}, "neither true nor false"),
        ("law", "expected a mapping of keys"),
    ],
)
def test_a_route_that_is_not_accepted_says_which_and_why(values: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gr.Routes([values], source="routes.yaml")
    assert str(caught.value).startswith("routes.yaml: route ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: gr.Routes([]), "received no route; expected a list of routes"),
        (lambda: gr.Routes({"law": GOOD}), "received dict; expected a list"),  # type: ignore[arg-type]
        (lambda: gr.Routes([GOOD, GOOD]), "two routes have the name 'law'"),
        (lambda: gr.Routes([GOOD], none_share=1), "none_share = 1 is not accepted"),
        (lambda: gr.Routes([GOOD], none_share=float("nan")), "none_share = nan"),
        (
            lambda: gr.Routes(
                [{**GOOD, "examples": ["x"]}, {**GOOD, "name": "b", "examples": ["x"]}]
            ),
            "the example 'x' stands in 'law' and in 'b'",
        ),
    ],
)
def test_what_are_no_routes(made: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rutes: []\n", "unknown key 'rutes'. Did you mean 'routes'?"),
        ("", "received no route"),
        ("- [", "no valid YAML"),
        ("hello", "received hello; expected a list"),
        ("- name: a\n  name: b\n", "the key 'name' occurs twice"),
    ],
)
def test_a_file_that_is_not_accepted_is_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        gr.Routes.load(file)
    assert "mine.yaml" in str(caught.value)
    assert told in str(caught.value)
    with pytest.raises(ConfigError, match="not there"):
        gr.Routes.load(tmp_path / "none.yaml")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    routes = gr.Routes.load(EXAMPLE)
    assert routes.names == ("translation", "proofs", "letters")
    assert routes["proofs"].apply().max_cost_usd == 0.02
    routes.save(tmp_path / "again.yaml")
    again = gr.Routes.load(tmp_path / "again.yaml")
    assert (again.routes, again.none_share) == (routes.routes, routes.none_share)
    bare = tmp_path / "list.json"
    bare.write_text('[{"name": "a", "description": "b", "model": "c"}]', encoding="utf-8")
    assert len(gr.Routes.load(bare)) == 1
    with pytest.raises(KeyError, match="No route has the name 'proof'. Did you mean 'proofs'?"):
        routes["proof"]
    with pytest.raises(UnknownRouteError, match="Routes: translation, proofs, letters."):
        routes[0]  # type: ignore[index]


@pytest.mark.parametrize(
    "text",
    [
        "- {name: no, examples: [a], model: x}",
        "- {name: a, examples: [a, no], model: x}",
        "- {name: a, description: off, model: x}",
        "- {name: a, examples: [b], model: on}",
        "- {name: a, examples: [b], models: [yes]}",
        "- {name: a, examples: [b], policy: {allowed: [no]}}",
        "- {name: a, examples: [b], policy: {max_cost_usd: no}}",
    ],
)
def test_a_word_that_yaml_reads_as_a_truth_value_is_refused_with_the_remedy(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        gr.Routes.load(tmp_path / "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: route ")
    assert "YAML reads no, off, yes and on without quotes as that" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truth_value_is_meant_where_a_card_states_one(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "- {name: a, examples: [b], policy: {requires: {green: no}}}", encoding="utf-8"
    )
    policy = gr.Routes.load(tmp_path / "mine.yaml")["a"].policy
    assert policy is not None
    assert policy.requirements == {"green": False}


def test_models_restrict_the_policy_of_the_caller_and_a_policy_takes_its_place() -> None:
    by = gr.Policy(cost_weight=0, excluded=("b",))
    few = Route(name="x", description="y", models=("a", "b"))
    assert few.apply(by).allowed == ("a",)
    assert few.apply(by).cost_weight == 0
    own = Route(name="x", description="y", policy=gr.Policy.preset("cost_first"))
    assert own.apply(by) == gr.Policy.preset("cost_first")
    with pytest.raises(PolicyError, match="'x' has b, and the policy allows none"):
        Route(name="x", description="y", model="b").apply(by)
    safe = gr.Policy(safe_model="c")
    with pytest.raises(PolicyError, match="The route 'x' with the policy given: .*safe model"):
        few.apply(safe)


def test_names_that_the_router_does_not_have() -> None:
    routes = gr.Routes([GOOD, {"name": "b", "task": "math", "policy": {"fallback": "nano"}}])
    routes.check_against(["grand", "nano"], ["math"])
    with pytest.raises(
        UnknownModelError, match="^routes: the route 'law' names 'grand'.*Did you mean 'grand2'"
    ):
        routes.check_against(["grand2", "nano"], ["math"])
    with pytest.raises(UnknownModelError, match="'b' names 'nano'"):
        routes.check_against(["grand"], ["math"])
    with pytest.raises(
        ConfigError, match="^routes: the route 'b' names the task 'math'.*It knows none"
    ):
        routes.check_against(["grand", "nano"], [])
