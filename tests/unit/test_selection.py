"""From predictions to a choice, and what is told of it.

Utilities by hand, every reason to reject, explicit ends when nobody satisfies, plain JSON.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.decision import Candidate, Decision, Evidence, UtilityParts
from graphrouter.exceptions import PolicyError, UnknownModelError
from graphrouter.policy import PRESETS, CostScale, Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.selection import PolicyContext, decide, list_choices
from graphrouter.types import Predictions

NAN = float("nan")
SCALE = CostScale(0.0, 0.1)
EFFECT = [0.9, 0.6, 0.5]
COST = [0.1, 0.02, 0.0]
LATENCY = [8.0, 2.0, 1.0]


def pool_of(*cards: dict[str, Any]) -> ModelPool:
    given = [*cards, {}, {}, {}][:3]
    return ModelPool.of(
        ModelCard.model_validate({"model": name, **card})
        for name, card in zip(("grand", "mid", "nano"), given, strict=True)
    )


def choose(
    policy: Policy,
    *,
    effect: list[float] = EFFECT,
    cost: list[float] = COST,
    latency: list[float] = LATENCY,
    tokens: tuple[list[float], list[float]] = ([NAN] * 3, [NAN] * 3),
    pool: ModelPool | None = None,
    scale: CostScale = SCALE,
    low: list[float] | None = None,
    high: list[float] | None = None,
    familiarity: float | None = None,
    **evidence: tuple[Evidence, ...],
) -> Decision:
    """The decision among grand (0.9, 0.10 USD, 8 s), mid (0.6, 0.02 USD, 2 s) and nano (0.5, free,
    1 s)."""
    predictions = Predictions.from_arrays(
        ("grand", "mid", "nano"),
        np.array([effect]),
        cost_usd=np.array([cost]),
        latency_s=np.array([latency]),
        input_tokens=np.array([tokens[0]]),
        output_tokens=np.array([tokens[1]]),
        effect_low=None if low is None else np.array([low]),
        effect_high=None if high is None else np.array([high]),
        familiarity=None if familiarity is None else np.array([familiarity]),
    )
    return decide(policy, predictions, 0, PolicyContext(pool or pool_of(), scale), **evidence)


def utilities(decision: Decision) -> dict[str, float | None]:
    return {candidate.model: candidate.utility for candidate in decision.candidates}


def test_weights_by_hand() -> None:
    decision = choose(Policy(effect_weight=0.7, cost_weight=0.3))
    assert utilities(decision) == pytest.approx(
        {"grand": 0.63 - 0.3, "mid": 0.42 - 0.06, "nano": 0.35}
    )
    assert [candidate.model for candidate in decision.candidates] == ["mid", "nano", "grand"]
    assert (decision.model, decision.effect, decision.cost_usd, decision.latency_s) == (
        "mid",
        0.6,
        0.02,
        2.0,
    )


@pytest.mark.parametrize(
    ("preset", "weights", "chosen"),
    [
        ("performance_first", (1.0, 0.0), "grand"),
        ("balanced", (0.5, 0.5), "nano"),
        ("cost_first", (0.2, 0.8), "nano"),
    ],
)
def test_presets(preset: Any, weights: tuple[float, float], chosen: str) -> None:
    policy = Policy.preset(preset)
    assert (policy.effect_weight, policy.cost_weight) == weights == PRESETS[preset]
    assert choose(policy).model == chosen


def test_usd_per_effect_by_hand() -> None:
    decision = choose(Policy(usd_per_effect=0.25))
    assert utilities(decision) == pytest.approx(
        {"grand": 0.9 - 0.4, "mid": 0.6 - 0.08, "nano": 0.5}
    )
    assert decision.model == "mid"
    assert choose(Policy(usd_per_effect=1.0)).model == "grand"
    assert choose(Policy(usd_per_effect=0.1)).model == "nano"


@pytest.mark.parametrize(
    ("least", "chosen"), [(0.0, "nano"), (0.5, "nano"), (0.55, "mid"), (0.6, "mid"), (0.7, "grand")]
)
def test_min_effect_takes_the_cheapest_that_reaches_it(least: float, chosen: str) -> None:
    assert choose(Policy(min_effect=least)).model == chosen


CAPABLE = {"tools": True, "vision": True, "json": True}
REJECTIONS = [
    ({"allowed": ("mid", "nano")}, {}, "not in allowed"),
    ({"excluded": ("grand",)}, {}, "in excluded"),
    ({"requires": ("tools",)}, {}, "card does not state tools"),
    (
        {"requires": ("json", "vision")},
        {"vision": False, "json": True},
        "vision is false, not true",
    ),
    ({"requires": ("vision",)}, {"json": True}, "card does not state vision"),
    ({"requires": {"green": True}}, {"green": False}, "green is false, not true"),
    ({"requires": {"green": True}}, {"green": "partly"}, "green is partly, not true"),
    ({"requires": {"green": True}}, {"region": "eu"}, "card does not state green"),
    ({"requires": {"green": "yes"}}, {"green": False}, "green is false, not yes"),
    (
        {},
        {"context_tokens": 100},
        "context of 100 tokens is shorter than the 101 that prompt and answer may take (101 "
        "expected)",
    ),
    ({"max_cost_usd": 0.05}, {}, "cost 0.100000 USD above 0.05"),
    ({"min_effect": 0.95}, {}, "effect 0.900 below 0.95"),
    ({"max_latency_s": 5}, {}, "latency 8.00 s above 5"),
]


@pytest.mark.parametrize(
    ("settings", "card", "reason"), REJECTIONS, ids=[reason for _, _, reason in REJECTIONS]
)
def test_every_reason_to_reject(
    settings: dict[str, Any], card: dict[str, Any], reason: str
) -> None:
    by_effect = {} if "min_effect" in settings else {"cost_weight": 0.0}
    decision = choose(
        Policy(**by_effect, **settings),
        effect=[0.9, 0.96, 0.5],
        tokens=([60.0, 60.0, NAN], [41.0, NAN, NAN]),
        pool=pool_of(card, {**CAPABLE, "context_tokens": 60, "green": True}, {"context_tokens": 1}),
    )
    assert decision.rejected["grand"] == reason
    assert decision.model == "mid"
    rejected = next(candidate for candidate in decision.candidates if candidate.model == "grand")
    assert rejected.utility is None
    assert rejected.effect == 0.9


@pytest.mark.parametrize(
    "settings", [{}, {"max_cost_usd": 1.0}, {"min_effect": 0.1}, {"usd_per_effect": 1.0}]
)
def test_an_unknown_cost_rules_out_where_cost_counts(settings: dict[str, Any]) -> None:
    decision = choose(Policy(**settings), cost=[NAN, 0.02, 0.03])
    assert decision.rejected == {"grand": "cost unknown"}
    assert next(c for c in decision.candidates if c.model == "grand").cost_usd is None


def test_an_unknown_cost_does_not_matter_where_cost_does_not_count() -> None:
    decision = choose(Policy(cost_weight=0.0), cost=[NAN] * 3, scale=CostScale(NAN, NAN))
    assert decision.model == "grand"
    assert decision.cost_usd is None


def test_an_unknown_latency_rules_out_where_a_limit_is_set() -> None:
    policy = Policy(cost_weight=0.0, max_latency_s=100)
    assert choose(policy, latency=[NAN, 2.0, 1.0]).rejected == {"grand": "latency unknown"}


def test_limits_are_inclusive() -> None:
    policy = Policy(max_cost_usd=0.1, max_latency_s=8, min_effect=0.9)
    assert (
        choose(policy, tokens=([60.0] * 3, [40.0] * 3), pool=pool_of({"context_tokens": 100})).model
        == "grand"
    )


LOW, HIGH = [0.4, 0.55, 0.45], [0.95, 0.65, 0.97]


def choose_with_ends(policy: Policy, **given: Any) -> Decision:
    """The decision where grand has 0.4 to 0.95, mid 0.55 to 0.65 and nano 0.45 to 0.97."""
    return choose(policy, low=LOW, high=HIGH, **given)


@pytest.mark.parametrize(
    ("risk", "chosen"), [("lower", "mid"), ("expected", "grand"), ("upper", "nano")]
)
def test_risk_says_which_effect_counts(risk: Any, chosen: str) -> None:
    decision = choose_with_ends(Policy(cost_weight=0.0, risk=risk))
    assert decision.model == chosen
    counted = {"lower": LOW, "expected": EFFECT, "upper": HIGH}[risk]
    assert utilities(decision) == pytest.approx(
        dict(zip(("grand", "mid", "nano"), counted, strict=True))
    )
    assert (
        decision.effect == dict(zip(("grand", "mid", "nano"), EFFECT, strict=True))[chosen]
    )  # what is expected stays


def test_risk_counts_in_every_kind_of_utility() -> None:
    assert utilities(choose_with_ends(Policy(cost_weight=0.5, risk="lower")))[
        "grand"
    ] == pytest.approx(0.5 * 0.4 - 0.5)
    assert utilities(choose_with_ends(Policy(usd_per_effect=0.25, risk="upper")))[
        "grand"
    ] == pytest.approx(0.95 - 0.4)
    decision = choose_with_ends(Policy(min_effect=0.5, risk="lower"))
    assert decision.model == "mid"
    assert decision.rejected == {
        "grand": "lower end of effect 0.400 below 0.5",
        "nano": "lower end of effect 0.450 below 0.5",
    }
    assert choose_with_ends(Policy(min_effect=0.96, risk="upper")).model == "nano"


def test_the_decision_and_its_candidates_carry_the_intervals() -> None:
    decision = choose_with_ends(Policy(cost_weight=0.0))
    assert (decision.effect_low, decision.effect_high) == (0.4, 0.95)
    assert {c.model: (c.effect_low, c.effect_high) for c in decision.candidates}["nano"] == (
        0.45,
        0.97,
    )
    bare = choose(Policy(cost_weight=0.0))
    assert (bare.effect_low, bare.candidates[0].effect_high, bare.candidates[0].doubt) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("settings", "what"),
    [({"risk": "lower"}, "risk = lower"), ({"safe_model": "mid"}, "a safe model")],
)
def test_a_router_without_intervals_cannot_weigh_them(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(
        PolicyError,
        match=f"The policy asks for {what}, but this router does not say how sure it is",
    ):
        choose(Policy(cost_weight=0.0, **settings))


@pytest.mark.parametrize(
    ("doubt", "chosen"), [(0.54, "mid"), (0.56, "grand"), (1.0, "grand"), (0.0, "mid")]
)
def test_too_much_doubt_takes_the_safe_model(doubt: float, chosen: str) -> None:
    decision = choose_with_ends(Policy(cost_weight=0.0, safe_model="mid", max_doubt=doubt))
    assert (decision.model, decision.used_safe_model) == (chosen, chosen == "mid")
    assert decision.candidates[0].model == "grand"  # the ranking stays
    assert (decision.effect, decision.effect_low) == (
        (0.6, 0.55) if chosen == "mid" else (0.9, 0.4)
    )
    assert not decision.used_fallback


@pytest.mark.parametrize(
    ("familiarity", "chosen"), [(0.04, "mid"), (0.05, "grand"), (1.0, "grand")]
)
def test_too_little_familiarity_takes_the_safe_model(familiarity: float, chosen: str) -> None:
    policy = Policy(cost_weight=0.0, safe_model="mid", max_doubt=1, min_familiarity=0.05)
    decision = choose_with_ends(policy, familiarity=familiarity)
    assert (decision.model, decision.used_safe_model) == (chosen, chosen == "mid")
    assert decision.to_dict()["familiarity"] == decision.familiarity == familiarity
    assert decision.candidates[0].model == "grand"  # the ranking stays


def test_a_router_that_knows_no_familiarity_cannot_ask_for_some() -> None:
    policy = Policy(cost_weight=0.0, safe_model="mid", min_familiarity=0.1)
    with pytest.raises(PolicyError, match="this router does not say how familiar a prompt is"):
        choose_with_ends(policy)
    assert choose_with_ends(Policy(cost_weight=0.0)).to_dict()["familiarity"] is None


def test_the_safe_model_must_satisfy_the_policy_itself() -> None:
    decision = choose_with_ends(Policy(safe_model="mid", min_effect=0.7))
    assert (decision.model, decision.used_safe_model) == ("grand", False)
    assert not choose_with_ends(
        Policy(cost_weight=0.0, safe_model="grand")
    ).used_safe_model  # it is the best anyway
    decision = choose_with_ends(Policy(min_effect=1.0, safe_model="mid", fallback="nano"))
    assert (decision.model, decision.used_fallback, decision.used_safe_model) == (
        "nano",
        True,
        False,
    )


def test_nobody_satisfies_names_the_reasons() -> None:
    with pytest.raises(PolicyError) as caught:
        choose(Policy(allowed=("grand", "mid"), max_cost_usd=0.01))
    assert str(caught.value) == (
        "No model satisfies the policy (grand: cost 0.100000 USD above 0.01; mid: cost 0.020000 "
        "USD above 0.01; "
        "nano: not in allowed). Loosen the policy, or name a fallback model."
    )


def test_reasons_that_the_policy_names_itself_come_last() -> None:
    with pytest.raises(
        PolicyError, match=r"\(nano: cost .* above 0.01; grand: not in allowed; mid"
    ):
        choose(Policy(allowed=("nano",), max_cost_usd=0.01), cost=[0.1, 0.02, 0.05])


def test_a_long_list_of_reasons_is_cut() -> None:
    names = tuple(f"m{i}" for i in range(8))
    predictions = Predictions.from_arrays(names, np.full((1, 8), 0.5), cost_usd=np.ones((1, 8)))
    context = PolicyContext(ModelPool.of(ModelCard(model=name) for name in names), SCALE)
    with pytest.raises(PolicyError, match="m4: effect 0.500 below 0.9; and 3 more"):
        decide(Policy(min_effect=0.9), predictions, 0, context)


def test_a_router_that_cannot_predict_cost_says_what_to_do() -> None:
    with pytest.raises(
        PolicyError, match="this router cannot predict any.* Use the preset performance_first"
    ):
        choose(Policy(), cost=[NAN] * 3)


NOTHING = {"cost": [NAN] * 3, "latency": [NAN] * 3}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cost_weight": 0, "max_ttft_s": 1}, "limits the time to the first token, but this rout"),
        ({"cost_weight": 0, "max_latency_s": 5}, "Latency is limited or counted, but this router"),
        ({"max_cost_usd": 1}, "The policy weighs cost, but this router cannot predict any"),
        ({"min_effect": 0.1}, "The policy weighs cost, but this router cannot predict any"),
    ],
)
def test_a_fallback_hides_nothing_that_was_never_logged(
    settings: dict[str, Any], message: str
) -> None:
    policy = Policy(fallback="nano", **settings)
    with pytest.raises(PolicyError, match=message):
        choose(policy, **NOTHING)
    if "min_effect" not in settings:  # in a batch a floor that weighs no cost
        predictions = Predictions.from_arrays(("grand", "mid", "nano"), np.array([EFFECT] * 2))
        with pytest.raises(PolicyError, match=message):
            list_choices(policy, predictions, PolicyContext(pool_of(), SCALE))
    assert choose(Policy(cost_weight=0, fallback="nano"), **NOTHING).model == "grand"


def test_a_fallback_is_taken_where_a_latency_is_unknown_of_some_models() -> None:
    policy = Policy(cost_weight=0, max_latency_s=1.5, allowed=("grand", "mid"), fallback="nano")
    decision = choose(policy, latency=[NAN, 2.0, 1.0])
    assert (decision.model, decision.used_fallback) == ("nano", True)


def test_the_fallback_is_taken_and_marked() -> None:
    decision = choose(Policy(min_effect=1.0, fallback="nano"))
    assert (decision.model, decision.used_fallback) == ("nano", True)
    assert decision.effect == 0.5
    assert set(decision.rejected) == {"grand", "mid", "nano"}


def test_the_fallback_is_not_needed_when_somebody_satisfies() -> None:
    decision = choose(Policy(max_cost_usd=0.05, fallback="grand"))
    assert (decision.model, decision.used_fallback) == ("nano", False)


@pytest.mark.parametrize(
    "settings",
    [{"allowed": ("grnd",)}, {"excluded": ("grnd",)}, {"fallback": "grnd"}, {"safe_model": "grnd"}],
)
def test_an_unknown_name_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(
        UnknownModelError, match="names 'grnd', which is not in the pool. Did you mean 'grand'"
    ):
        choose_with_ends(Policy(**settings))


def test_nothing_allowed_is_an_explicit_end() -> None:
    with pytest.raises(PolicyError, match="nano: not in allowed"):
        choose(Policy(allowed=()))


def test_ties_go_to_the_cheaper_then_the_better_then_the_earlier() -> None:
    performance = Policy.preset("performance_first")
    assert choose(performance, effect=[0.5] * 3, cost=[0.3, 0.1, 0.2]).model == "mid"
    assert choose(performance, effect=[0.5] * 3, cost=[NAN, 0.1, 0.1]).model == "mid"
    assert choose(performance, effect=[0.5] * 3, cost=[0.1] * 3).model == "grand"
    assert choose(Policy(min_effect=0.1), effect=[0.5, 0.6, 0.4], cost=[0.1] * 3).model == "mid"
    assert (
        choose(Policy(effect_weight=0, cost_weight=1), effect=[0.5, 0.6, 0.4], cost=[0.1] * 3).model
        == "mid"
    )


def test_rejected_models_come_last_and_the_better_first() -> None:
    decision = choose(Policy(max_cost_usd=0.0))
    assert [candidate.model for candidate in decision.candidates] == ["nano", "grand", "mid"]


def test_the_decision_carries_its_policy_and_evidence() -> None:
    evidence = (Evidence("q", "1 + 1?", None, 0.9, {"mid": 1.0}),)
    decision = choose(Policy(cost_weight=0.3, excluded=("grand",)), evidence=evidence)
    assert decision.evidence == evidence
    assert decision.policy == {"effect_weight": 0.7, "cost_weight": 0.3, "excluded": ["grand"]}
    json.dumps(decision.policy, allow_nan=False)


@given(
    effect=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    cost=st.lists(st.one_of(st.just(NAN), st.floats(0, 10)), min_size=3, max_size=3),
    cost_weight=st.floats(0, 1),
    most=st.one_of(st.none(), st.floats(0, 10)),
)
def test_the_choice_is_the_best_of_those_in_the_running(
    effect: list[float], cost: list[float], cost_weight: float, most: float | None
) -> None:
    try:
        decision = choose(
            Policy(cost_weight=cost_weight, max_cost_usd=most), effect=effect, cost=cost
        )
    except PolicyError:
        # cost_weight may round to nothing of a weight, but an unknown cost or a broken limit must
        # be the reason
        assert all(np.isnan(usd) or (most is not None and usd > most) for usd in cost)
        return
    running = [candidate for candidate in decision.candidates if candidate.rejected is None]
    assert decision.model == running[0].model
    assert all(candidate.utility is not None for candidate in running)
    assert running == sorted(running, key=lambda candidate: -(candidate.utility or 0.0))
    assert {candidate.model for candidate in decision.candidates} == {"grand", "mid", "nano"}


@pytest.fixture
def decision() -> Decision:
    candidates = (
        Candidate("a", 0.5, 0.1, 10.0, 1.5, 0.4),
        Candidate("b", 0.9, None, None, None, None, rejected="cost unknown"),
        Candidate("c", 0.8, 0.3, None, 2.0, None, rejected="in excluded"),
    )
    return Decision(model="a", effect=0.5, cost_usd=0.1, candidates=candidates)


def test_a_decision_tells_why_each_model_was_rejected(decision: Decision) -> None:
    assert decision.rejected == {"b": "cost unknown", "c": "in excluded"}


def test_latency_is_that_of_the_chosen_model(decision: Decision) -> None:
    assert decision.latency_s == 1.5
    assert dataclasses.replace(decision, model="c").latency_s == 2.0
    assert dataclasses.replace(decision, model="b").latency_s is None


def test_doubt_is_the_width_of_the_interval(decision: Decision) -> None:
    candidate = decision.candidates[0]
    assert candidate.doubt is None
    assert dataclasses.replace(candidate, effect_low=0.25, effect_high=0.75).doubt == 0.5


def test_a_decision_has_no_evidence_and_no_fallback_unless_said(decision: Decision) -> None:
    assert not decision.used_safe_model
    assert (decision.effect_low, decision.effect_high) == (None, None)
    assert decision.evidence == ()
    assert not decision.used_fallback
    assert decision.policy == {}


def test_a_decision_is_plain_json() -> None:
    unknown = Candidate("nano", float("nan"), None, None, None, None, rejected="effect unknown")
    seen = Evidence("q1", "Hello", None, 0.5, {"grand": np.float64(1.0)})
    decision = Decision("grand", 0.9, None, (unknown,), (seen,), policy={"allowed": ("grand",)})
    found = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    assert set(found) == {"parts", *(each.name for each in dataclasses.fields(Decision))}
    assert found["candidates"][0]["effect"] is None
    assert found["candidates"][0]["rejected"] == "effect unknown"
    assert found["evidence"][0]["effects"] == {"grand": 1.0}
    assert found["policy"] == {"allowed": ["grand"]}


OWN = pool_of(
    {"region": "us", "energy_wh": 2.0}, {"region": "eu", "energy_wh": 0.5}, {"region": "eu"}
)


def test_requirements_of_fields_and_penalties_of_unknown_amounts_rule_out() -> None:
    decision = choose(Policy(requires={"region": "EU"}), pool=OWN)
    assert decision.rejected == {"grand": "region is us, not EU"}
    penalised = choose(Policy(penalties={"energy_wh": 0.01}), pool=OWN)
    assert penalised.rejected == {"nano": "card does not state energy_wh"}
    with pytest.raises(PolicyError, match="region is us, not ch"):
        choose(Policy(requires={"region": "ch"}), pool=OWN)
    with pytest.raises(PolicyError, match="'licence', which no card of the pool states"):
        choose(Policy(requires={"licence": "mit"}, fallback="nano"), pool=OWN)


def test_a_decision_says_what_its_utility_is_made_of() -> None:
    policy = Policy(usd_per_effect=0.5, usd_per_second=0.01, penalties={"energy_wh": 0.1})
    decision = choose(policy, pool=OWN)
    assert decision.model == "mid"
    assert decision.parts is not None
    assert decision.parts.total == pytest.approx(decision.candidates[0].utility)
    assert str(decision.parts) == "effect 0.6 - dollars 0.04 - seconds 0.04 - energy_wh 0.05"
    assert f"utility=0.47 ({decision.parts})" in repr(decision)
    plain = json.loads(json.dumps(decision.to_dict()))
    expected = {"effect": 0.6, "dollars": 0.04, "seconds": 0.04, "penalties": {"energy_wh": 0.05}}
    assert plain["parts"] == plain["candidates"][0]["parts"] == expected
    assert [c["parts"] is None for c in plain["candidates"]] == [False, False, True]
    assert "utility" not in repr(choose(Policy()))


def test_a_decision_makes_the_parts_of_a_utility_when_they_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[float] = []

    def make(effect: float, *others: Any) -> UtilityParts:
        made.append(effect)
        return UtilityParts(effect, *others)

    monkeypatch.setattr("graphrouter.decision.UtilityParts", make)
    decision = choose(Policy())
    assert (decision, made) == (choose(Policy()), [])
    parts = decision.parts
    assert parts is not None
    assert made == [parts.effect]
    assert pickle.loads(pickle.dumps(decision)).parts == parts


def test_parts_do_not_change_with_the_predictions() -> None:
    predictions = Predictions.from_arrays(
        ("grand", "mid", "nano"), np.array([EFFECT]), cost_usd=np.array([COST])
    )
    decision = decide(Policy(usd_per_effect=0.5), predictions, 0, PolicyContext(pool_of(), SCALE))
    before = str(decision.parts)
    predictions.effect[:] = 0
    assert str(decision.parts) == before


def test_seconds_need_a_latency_and_weights_a_scale() -> None:
    waiting = Policy(usd_per_effect=0.5, usd_per_second=0.01)
    assert choose(waiting, latency=[8.0, NAN, 1.0]).rejected == {"mid": "latency unknown"}
    with pytest.raises(PolicyError, match="latency_s. Drop max_latency_s, usd_per_second and"):
        choose(waiting, latency=[NAN] * 3)
    for scale in (CostScale(NAN, NAN), CostScale(0.1, 0.1)):
        with pytest.raises(PolicyError, match="unknown or all equal. Say with usd_per_effect"):
            choose(Policy(usd_per_second=0.01), scale=scale)
        assert choose(waiting, scale=scale).model == "grand"


def test_who_is_unavailable_is_not_taken_as_a_fallback_either() -> None:
    context = dataclasses.replace(PolicyContext(pool_of(), SCALE), unavailable=frozenset({"nano"}))
    predictions = Predictions.from_arrays(
        ("grand", "mid", "nano"), np.array([EFFECT]), cost_usd=np.array([COST])
    )
    decision = decide(Policy(usd_per_effect=0.1), predictions, 0, context)
    assert decision.rejected == {"nano": "unavailable now"}
    with pytest.raises(PolicyError, match="its fallback 'nano' is unavailable now"):
        decide(Policy(max_cost_usd=0, fallback="nano"), predictions, 0, context)
    safe = Policy(cost_weight=0, allowed=("grand", "nano"))
    assert decide(safe, predictions, 0, context).model == "grand"


def test_beyond_the_scale_dollars_count_for_usd_per_effect_alone() -> None:
    """On a prompt on which all models are dearer than any call seen, weights see no cost."""
    dear = [4.0, 2.0, 1.0]
    assert choose(Policy.preset("balanced"), cost=dear, scale=CostScale(0.0, 0.1)).model == "grand"
    assert choose(Policy(usd_per_effect=0.02), cost=dear).model == "nano"
