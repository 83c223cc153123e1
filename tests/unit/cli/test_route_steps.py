"""`graphrouter route-steps`: choices of a plan within limits, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Invoke

PLAN = """
- {role: extraction, prompt: Take the dates from the letter.}
- {role: writing, prompt: Answer it., after: [extraction]}
- {role: proofreading, prompt: Mend the answer., after: writing}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN, encoding="utf-8")
    return file


def test_shows_the_steps_and_what_they_cost(artifact: Path, plan: Path, invoke: Invoke) -> None:
    status, shown, errors = invoke("route-steps", artifact, plan, "--budget-usd", 0.05)
    assert status == 0
    assert "never seen the task 'proofreading'" in errors
    assert "extraction" in shown
    assert "Next     extraction" in shown
    assert "Unknown  'proofreading': no task of the router" in shown
    assert "of 0.05; " in shown
    assert "the best that fits" in shown
    status, shown, _ = invoke("route-steps", artifact, plan, "--preset", "cost_first")
    assert (status, "the best that fits" in shown) == (0, False)


def test_json_goes_on_after_a_step(artifact: Path, plan: Path, invoke: Invoke) -> None:
    first = json.loads(invoke("route-steps", artifact, plan, "--budget-usd", 0.05, "--json")[1])
    assert [step["name"] for step in first["steps"]] == ["extraction", "writing", "proofreading"]
    assert first["unknown_roles"] == ["proofreading"]
    ran = "{role: extraction, prompt: Take the dates from the letter., "
    ran += f"model: {first['steps'][0]['model']}, effect: 0.5, cost_usd: 0.01}}"
    lines = PLAN.strip().splitlines()
    plan.write_text("steps:\n" + "\n".join([f"- {ran}", *lines[1:]]), encoding="utf-8")
    then = json.loads(invoke("route-steps", artifact, plan, "--budget-usd", 0.05, "--json")[1])
    assert then["next"] == ["writing"]
    assert then["steps"][0]["is_settled"]
    assert then["steps"][0]["cost_usd"] == 0.01
    assert then["total_effect"] <= 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "The plan has 0 steps; expected between 1 and 1,000"),
        ("- {role: a}", "step 1 has no prompt"),
        ("- {role: a, prompt: x, after: [b]}", "The step 'a' comes after 'b', which is no step"),
        (
            "- {role: a, prompt: x, after: [b]}\n- {role: b, prompt: x, after: [a]}",
            "Steps wait for each other in a ring: 'a' after 'b' after 'a'",
        ),
        ("plan: []", "received the keys plan; expected steps"),
        ("- {role: a, prompt: x, agent: y}", "unknown key 'agent'"),
        ("- {role: a, prompt: x}\n- {role: a, prompt: x, name: a}", "2 steps are called 'a'"),
        ("- {role: a, prompt: x, model: nobody}", "'nobody'"),
        ("- {role: a, prompt: x, effect: 1}", "has an effect but no model"),
    ],
)
def test_what_is_no_plan_is_refused(
    artifact: Path, plan: Path, invoke: Invoke, text: str, told: str
) -> None:
    plan.write_text(text, encoding="utf-8")
    status, shown, errors = invoke("route-steps", artifact, plan, "--budget-usd", 1)
    assert (status, shown) == (2, "")
    assert told in errors


def test_a_budget_that_is_too_small_says_what_is_enough(
    artifact: Path, plan: Path, invoke: Invoke
) -> None:
    status, _, errors = invoke("route-steps", artifact, plan, "--budget-usd", 1e-9)
    assert status == 2
    assert "for 3 steps take" in errors
    assert invoke("route-steps", artifact, plan, "--tolerance", 2)[0] == 2
