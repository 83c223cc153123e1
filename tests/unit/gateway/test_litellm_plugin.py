"""The plugin for LiteLLM, without LiteLLM: who is left of a model group, and what is said of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

import graphrouter as gr
from graphrouter.exceptions import ConfigError, PolicyError
from graphrouter.gateway import LiteLLMPlugin
from graphrouter.gateway.api_errors import ApiError

PROMPT = "Translate 'apple' into French."
BEST = gr.Policy.preset("performance_first")


@dataclass
class Context:
    """The attributes of LiteLLM's routing context."""

    candidate_models: list[str]
    structured_messages: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": PROMPT},
        ]
    )
    metadata: dict[str, Any] = field(default_factory=dict)
    signals: dict[str, Any] = field(default_factory=dict)


def run(plugin: LiteLLMPlugin, context: Context) -> Context:
    return asyncio.run(plugin.run(context))  # type: ignore[return-value]


@pytest.mark.parametrize("preset", ["cost_first", "balanced", "performance_first"])
def test_the_model_that_the_router_chooses_is_left(router: gr.GraphRouter, preset: str) -> None:
    left = run(
        LiteLLMPlugin(router, policy=preset),  # type: ignore[arg-type]
        Context([f"openai/{model}" for model in router.models]),
    )
    decision = router.route(PROMPT, policy=gr.Policy.preset(preset))  # type: ignore[arg-type]
    assert left.candidate_models == [f"openai/{decision.model}"]
    said = left.signals["graphrouter"]
    assert said["model"] == decision.model
    assert said["effect"] == pytest.approx(decision.effect)
    assert said["expected_cost_usd"] == pytest.approx(decision.cost_usd)


def test_a_group_of_some_models_is_chosen_among_them(router: gr.GraphRouter) -> None:
    best = router.route(PROMPT, policy=BEST).model
    others = [model for model in router.models if model != best]
    left = run(LiteLLMPlugin(router, policy="performance_first"), Context(others))
    expected = router.route(PROMPT, policy=BEST, unavailable={best})
    assert left.candidate_models == [expected.model]


def test_deployments_of_one_model_stay_together(router: gr.GraphRouter) -> None:
    best = router.route(PROMPT, policy=BEST).model
    mine = [f"azure/east/{best}", f"openai/{best}", best]
    left = run(
        LiteLLMPlugin(router, policy="performance_first"),
        Context([*(f"openai/{each}" for each in router.models if each != best), *mine]),
    )
    assert left.candidate_models == mine


def test_names_of_its_own_are_mapped(router: gr.GraphRouter) -> None:
    names = {f"bedrock/arn-{i}": model for i, model in enumerate(router.models)}
    left = run(LiteLLMPlugin(router, names=names), Context(list(names)))
    assert [names[each] for each in left.candidate_models] == [router.route(PROMPT).model]


def test_a_group_that_the_pool_does_not_know_passes(router: gr.GraphRouter) -> None:
    left = run(LiteLLMPlugin(router), Context(["openai/an-embedding-model"]))
    assert left.candidate_models == ["openai/an-embedding-model"]
    assert left.signals == {}


def test_who_is_not_in_the_pool_is_never_chosen_and_named_once(
    router: gr.GraphRouter, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = LiteLLMPlugin(router)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            left = run(plugin, Context(["openai/stranger", router.models[0]]))
            assert left.candidate_models == [router.models[0]]
    (told,) = caplog.messages
    assert "openai/stranger" in told


def test_a_request_may_bring_a_policy_and_a_task(router: gr.GraphRouter) -> None:
    task = str(router.support.queries["task"].iloc[0])
    said = {"policy": {"preset": "performance_first"}, "task": task}
    context = Context(list(router.models), metadata={"graphrouter": said})
    left = run(LiteLLMPlugin(router, policy="cost_first"), context)
    expected = router.route(PROMPT, task=task, policy=BEST)
    assert left.candidate_models == [expected.model]


def test_nobody_left_is_an_error_and_no_silent_choice(router: gr.GraphRouter) -> None:
    plugin = LiteLLMPlugin(router, policy=gr.Policy(max_cost_usd=1e-12))
    with pytest.raises(PolicyError):
        run(plugin, Context(list(router.models)))


def test_what_is_not_accepted_is_said(router: gr.GraphRouter) -> None:
    with pytest.raises(ConfigError, match="names: there is no model 'grnd'"):
        LiteLLMPlugin(router, names={"openai/grand": "grnd"})
    context = Context(list(router.models), metadata={"graphrouter": {"polcy": {}}})
    with pytest.raises(ApiError, match="unknown member 'polcy'"):
        run(LiteLLMPlugin(router), context)
