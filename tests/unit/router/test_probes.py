"""Suggested probes: the choice itself on constructed cases, then what a router suggests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.exceptions import DataError, NotApplicableError, UnknownModelError
from graphrouter.router.probes import (
    FairSample,
    ProbeDesign,
    choose_probes,
    derive_design,
    outcome_information,
)


def by_task(
    task: list[int], information: list[float], *, ability: float = 1.0, skill: float = 2.0
) -> ProbeDesign:
    """A design with one feature for the ability and one for each task; `ability` and `skill` are
    prior masses."""
    num_tasks = max(task) + 1
    features = np.concatenate([np.ones((len(task), 1)), np.eye(num_tasks)[task]], axis=1)
    covariance = np.diag(1 / np.repeat([ability, skill], [1, num_tasks]))
    return ProbeDesign(
        features=features,
        typical=features,
        information=np.array(information),
        covariance=covariance,
    )


def told(design: ProbeDesign, rows: list[int]) -> ProbeDesign:
    """The design after outcomes on some queries."""
    known = design.features[rows]
    precision = (
        np.linalg.inv(design.covariance) + known.T @ np.diag(design.information[rows]) @ known
    )
    return dataclasses.replace(design, covariance=np.linalg.inv(precision))


def excess_loss(design: ProbeDesign, rows: list[int]) -> float:
    """Mean of information x posterior variance of new queries after outcomes on some queries,
    written down directly."""
    covariance = told(design, rows).covariance
    return float(
        np.mean(design.information * np.diag(design.typical @ covariance @ design.typical.T))
    )


@st.composite
def designs(draw: st.DrawFn) -> ProbeDesign:
    """A design of up to 12 queries."""
    num = draw(st.integers(2, 12))
    width = draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    root = random.normal(size=(width, width))
    covariance = root @ root.T + 0.2 * np.eye(width)
    features, typical = random.normal(size=(2, num, width))
    return ProbeDesign(features, typical, random.uniform(0.01, 0.25, num), covariance)


@given(designs())
def test_every_step_lowers_the_excess_loss_most(design: ProbeDesign) -> None:
    every = list(range(len(design.features)))
    chosen = choose_probes(design, len(every), candidates=np.array(every)).tolist()
    assert sorted(chosen) == every
    for step in range(len(chosen)):
        best = min(
            excess_loss(design, [*chosen[:step], other])
            for other in every
            if other not in chosen[:step]
        )
        assert excess_loss(design, chosen[: step + 1]) == pytest.approx(best, rel=1e-9)


@given(designs(), st.integers(1, 12))
def test_fewer_probes_are_the_first_of_more(design: ProbeDesign, num: int) -> None:
    every = np.arange(len(design.features))
    num = min(num, len(every))
    most = choose_probes(design, len(every), candidates=every)
    np.testing.assert_array_equal(choose_probes(design, num, candidates=every), most[:num])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 5))
def test_a_fair_sample_asks_every_task_by_its_share(tasks: list[int], among: int) -> None:
    task = np.array(tasks)
    is_free = np.ones(len(task), dtype=bool)
    sample, again = FairSample(task, among), FairSample(task, among)
    share = np.bincount(task) / len(task)
    asked = np.zeros(len(share))
    for step in range(1, len(task) + 1):
        is_drawn = sample.draw(is_free)
        np.testing.assert_array_equal(again.draw(is_free), is_drawn)
        assert 1 <= is_drawn.sum() <= among
        assert (is_free | ~is_drawn).all()
        assert len(set(task[is_drawn])) == 1
        first = int(np.flatnonzero(is_drawn)[0])
        is_free[first] = False
        asked[task[first]] += 1
        assert np.abs(asked - share * step).max() < len(share)
    assert not is_free.any()


@given(designs(), st.integers(1, 12))
def test_fewer_fairly_sampled_probes_are_the_first_of_more(design: ProbeDesign, num: int) -> None:
    every = np.arange(len(design.features))
    task, num = every % 2, min(num, len(every))
    most, fewer = (
        choose_probes(design, count, candidates=every, sample=FairSample(task, 3))
        for count in (len(every), num)
    )
    np.testing.assert_array_equal(fewer, most[:num])
    assert sorted(most) == every.tolist()


@given(designs())
def test_asking_again_after_the_outcomes_goes_on_where_the_first_batch_ended(
    design: ProbeDesign,
) -> None:
    every = np.arange(len(design.features))
    order = choose_probes(design, len(every), candidates=every)
    half = len(every) // 2
    rest = choose_probes(
        told(design, order[:half].tolist()), len(every) - half, candidates=np.sort(order[half:])
    )
    known = order[:half].tolist()
    for row, other in zip(
        rest.tolist(), order[half:].tolist(), strict=True
    ):  # equal gains may change places
        assert excess_loss(design, [*known, row]) == pytest.approx(
            excess_loss(design, [*known, other]), rel=1e-6
        )
        known.append(row)


def test_the_task_of_most_queries_comes_first_and_then_the_other() -> None:
    # Skills vary far more than abilities here, so that an outcome tells little about the other
    # task.
    design = by_task([0, 0, 0, 0, 1, 1], [0.2, 0.25, 0.25, 0.1, 0.2, 0.25], ability=10.0, skill=0.5)
    # Within a task the most informative query, of equal ones the first.
    assert choose_probes(design, 3, candidates=np.arange(6)).tolist() == [1, 5, 2]
    # What is answered counts, though it is no candidate.
    assert choose_probes(told(design, [3, 0]), 1, candidates=np.array([1, 2, 4, 5])).tolist() == [5]
    assert choose_probes(told(design, [5, 4]), 1, candidates=np.arange(4)).tolist() == [1]


def test_a_query_that_tells_strong_from_weak_comes_before_one_that_does_not() -> None:
    design = by_task([0, 0, 0], [0.25, 0.25, 0.25])
    features = design.features.copy()
    features[:, 0] = [0.2, 1.8, 1.0]
    assert (
        choose_probes(
            dataclasses.replace(design, features=features), 3, candidates=np.arange(3)
        ).tolist()[0]
        == 1
    )


def test_information_is_highest_at_even_chances_and_lower_where_the_easiness_is_uncertain() -> None:
    logit = np.array([-2.0, 0.0, 2.0, 50.0])
    known = outcome_information(logit, np.zeros(4))
    np.testing.assert_allclose(known[:3], [0.104994, 0.25, 0.104994], atol=1e-6)
    uncertain = outcome_information(logit, np.full(4, 2.0))
    assert uncertain[1] == pytest.approx(1 / (4 + 2))  # p (1 - p) is 1/4
    assert np.all(uncertain[:3] < known[:3])
    assert np.isfinite(known).all()


def test_suggestions_are_queries_of_the_support_over_all_tasks(router: gr.GraphRouter) -> None:
    probes = router.suggest_probes(20)
    assert list(probes.columns) == ["query_id", "task", "prompt"]
    assert len(probes) == probes["prompt"].nunique() == 20
    support = router.support.queries
    merged = probes.merge(support, on="query_id", suffixes=("", "_there"))
    assert len(merged) == 20
    assert (merged["prompt"] == merged["prompt_there"]).all()
    # Not one task after another: at most one is told well enough by what is known already.
    assert len(set(probes["task"])) >= support["task"].nunique() - 1
    pd.testing.assert_frame_equal(router.suggest_probes(20), probes)
    pd.testing.assert_frame_equal(router.suggest_probes(7), probes.head(7))


def test_the_design_is_the_base_of_the_router(router: gr.GraphRouter) -> None:
    state, base = router._states.support, router.learned.precise_net.base
    num_factors = state.base.basis.shape[2]
    blank = derive_design(base, state, None)
    assert blank.features.shape == (len(router.support.queries), num_factors + len(state.task))
    np.testing.assert_array_equal(blank.typical[:, num_factors:].sum(axis=1), 1.0)  # one task each
    np.testing.assert_allclose(blank.features[:, 0] - blank.typical[:, 0], state.base.slope[0])
    assert np.all((blank.information > 0) & (blank.information <= 0.25))
    known = derive_design(base, state, 0)
    # A model with a hundred outcomes is known better than one without any, on every kind of query.
    sure, unsure = (
        np.einsum("qd,de,qe->q", one.typical, one.covariance, one.typical) for one in (known, blank)
    )
    assert np.all(sure < 0.5 * unsure)


def test_what_was_answered_is_not_asked_again(router: gr.GraphRouter) -> None:
    wider = router.add_model(gr.ModelCard(model="newcomer"))
    asked: list[str] = []
    for _ in range(3):
        batch = wider.suggest_probes(8, model="newcomer")
        assert not set(asked) & set(batch["query_id"])
        asked += batch["query_id"].tolist()
        wider = wider.add_outcomes(batch[["query_id"]].assign(model="newcomer", effect=1.0))
    assert len(set(asked)) == 24
    left = len(router.support.queries) - 24
    with pytest.raises(
        DataError, match=f"expected 1 to {left}, .* that 'newcomer' has not answered"
    ):
        wider.suggest_probes(left + 1, model="newcomer")


def test_copies_of_a_prompt_are_asked_once(router: gr.GraphRouter) -> None:
    queries = router.support.queries.copy()
    prompts = queries["prompt"].tolist()
    prompts[1:4] = [f" {prompts[0]}\n"] * 3
    distinct = len({prompt.strip() for prompt in prompts})
    support = dataclasses.replace(router.support, query_table=queries.assign(prompt=prompts))
    copies = gr.GraphRouter(router.learned, support, router.provenance, router.encoder)
    every = copies.suggest_probes(distinct)
    assert every["prompt"].str.strip().nunique() == len(every) == distinct
    graded = pd.DataFrame({"query_id": queries["query_id"].iloc[[2]], "effect": [1.0]})
    wider = copies.add_model(gr.ModelCard(model="newcomer"), outcomes=graded)
    rest = wider.suggest_probes(distinct - 1, model="newcomer")
    assert prompts[0].strip() not in set(rest["prompt"].str.strip())


@pytest.mark.parametrize("num", [0, -3, 10_000])
def test_a_number_that_cannot_be_had_is_refused(router: gr.GraphRouter, num: int) -> None:
    there = router.support.queries["prompt"].nunique()
    with pytest.raises(
        DataError, match=f"^{num} probes were asked for; expected 1 to {there}, .* support. Ask for"
    ):
        router.suggest_probes(num)


def test_an_unknown_model_is_refused(router: gr.GraphRouter) -> None:
    with pytest.raises(UnknownModelError, match="'nobody'"):
        router.suggest_probes(5, model="nobody")


def test_probes_of_a_large_support_come_from_every_task() -> None:
    random = np.random.default_rng(0)
    task = random.integers(0, 20, 4400).tolist()
    design = by_task(task, random.uniform(0.05, 0.25, 4400).tolist())
    chosen = choose_probes(design, 50, candidates=np.arange(4400))
    assert len({task[row] for row in chosen.tolist()}) == 20


def test_without_torch_nothing_is_suggested(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrouter.extras.is_installed", lambda library: library != "torch")
    with pytest.raises(NotApplicableError, match="Suggesting probes needs torch"):
        router.suggest_probes(3)
