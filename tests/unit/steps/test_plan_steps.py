"""Plans as people write them: names, links, weights, and what is refused."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrouter.exceptions import DataError
from graphrouter.grades import Grade
from graphrouter.steps import Step, StepPlan, read_step_plan
from graphrouter.steps.plan_steps import MOST_STEPS


def step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    return {"role": "a", "prompt": "x", "name": name, "after": list(after), **fields}


def test_steps_are_named_by_role_where_they_have_no_name() -> None:
    plan = StepPlan.of(
        [
            {"role": "a", "prompt": "x"},
            {"role": "a", "prompt": "y"},
            {"prompt": "z"},
            Step("a", "w", name="last"),
        ]
    )
    assert plan.names == ("a", "a 2", "step 3", "last")
    assert plan.weight.tolist() == [0.25] * 4, "all are ends"


def test_what_stands_before_a_step_is_followed_through_others_whatever_the_order() -> None:
    plan = StepPlan.of(
        [step("end", "left", "right"), step("left", "root"), step("root"), step("right", "root")]
    )
    assert plan.before[0].tolist() == [False, True, True, True]
    assert plan.before[3].tolist() == [False, False, True, False]
    place = {name: i for i, name in enumerate(np.array(plan.names)[list(plan.order)])}
    assert place["root"] < min(place["left"], place["right"]) < place["end"]
    assert plan.is_end.tolist() == [True, False, False, False]
    assert plan.weight.tolist() == [1, 0, 0, 0]


def test_stated_weights_stand_and_others_are_none() -> None:
    assert StepPlan.of([step("a", weight=2), step("b", "a")]).weight.tolist() == [2, 0]


def test_a_step_that_was_run_is_settled() -> None:
    plan = StepPlan.of([step("a"), step("b", "a")]).settle("a", "nano", Grade(1.0, 0.9, 0.2), 0.1)
    assert plan.is_settled.tolist() == [True, False]
    assert plan.steps[0].effect == Grade(1.0, 0.9, 0.2)
    with pytest.raises(DataError, match="No step is called 'c'"):
        plan.settle("c", "nano")
    with pytest.raises(DataError, match="effect of the step 'b'"):
        plan.settle("b", "nano", 2.0)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], "The plan has 0 steps"),
        ("draft", "steps is a str"),
        ([3], "step 1 is a int; expected a mapping"),
        ([step("a")] * (MOST_STEPS + 1), "The plan has 1,001 steps"),
        ([step("a"), step("a")], "2 steps are called 'a'"),
        ([step("a", "a")], "in a ring: 'a' after 'a'"),
        (
            [step("x"), step("a", "c"), step("b", "a"), step("c", "b")],
            "'a' after 'c' after 'b' after 'a'",
        ),
        ([step("draft"), step("b", "drat")], "Did you mean 'draft'"),
        ([step("a", prompt=3)], "The prompt of step 1 is 3"),
        ([step("a", role=" ")], "The role of step 1 is ' '"),
        ([step("a", weight=-1)], "weight of step 1 is -1"),
        ([step("a", model="m", cost_usd=float("nan"))], "cost_usd of step 1 is nan"),
        ([step("a", model="m", effect=1.5)], "The effect of step 1 is 1.5"),
        ([step("a", effect=1.0)], "has an effect but no model"),
        ([{"role": "a", "prompt": "x", "after": 3}], "after of step 1 is 3"),
        ([step("a[0]", context=["x", " "])], "step 1: context[1] is a blank document"),
        ([step("a"), step("b", context=3)], "step 2: context is 3; expected a text"),
        ([step("a", embedding=[0.5, math.inf])], "step 1: embedding[1] is inf"),
    ],
)
def test_what_is_no_plan_is_refused(steps: Any, told: str) -> None:
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        StepPlan.of(steps)
    assert "\n" not in str(caught.value)


def test_a_file_says_which_it_is(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{"steps": [{"role": "a", "prompt": "x"}]}', encoding="utf-8")
    assert read_step_plan(file).names == ("a",)
    file.write_text('{"steps": 3}', encoding="utf-8")
    with pytest.raises(DataError, match=r"plan\.json: steps is a int"):
        read_step_plan(file)
    with pytest.raises(DataError, match=r"absent\.yaml"):
        read_step_plan(tmp_path / "absent.yaml")


def test_a_plan_is_asked_for_one_user_with_what_goes_with_each_step() -> None:
    steps = [step("a", context="One."), step("b", context=[], embedding=[0.0, 1.0]), step("c")]
    queries = StepPlan.of(steps).to_queries("ann", "sales")
    assert (queries.users, queries.teams) == (("ann",) * 3, ("sales",) * 3)
    assert queries.contexts == (("One.",), None, None)
    given = [None if each is None else each.vector.tolist() for each in queries.embeddings]
    assert given == [None, [0.0, 1.0], None]
    assert not StepPlan.of([step("a")]).to_queries().names_people
    for wrong in ({"context": [" "]}, {"embedding": "near"}):
        with pytest.raises(DataError, match=f"step 1: {next(iter(wrong))}"):
            StepPlan.of([step("a", **wrong)])
