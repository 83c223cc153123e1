"""The Rasch base."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from graphrouter.config import NetworkConfig
from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.nn import rasch as base_module
from graphrouter.nn.card_likeness import compare_cards
from graphrouter.nn.outcomes import SupportOutcomes
from graphrouter.nn.population import Likelihood, Population, Posterior
from graphrouter.nn.rasch import RaschBase
from graphrouter.scoring.state import BaseState

MANY_ROUNDS, ROUNDS = 60, NetworkConfig().base_rounds


def _edges(effect: Tensor) -> OutcomeEdges:
    """All pairs of a (num_queries, num_models) effect matrix, NaN = not observed; other channels
    unobserved."""
    query, model = torch.nonzero(torch.isfinite(effect), as_tuple=True)
    channels = torch.full((NUM_CHANNELS, len(query)), torch.nan, dtype=torch.float64)
    channels[0] = effect[query, model]
    return OutcomeEdges(query, model, channels)


def _base(*, num_rounds: int = MANY_ROUNDS, slopes: bool = True) -> RaschBase:
    base = RaschBase(num_rounds).double()
    if not slopes:
        torch.nn.init.constant_(base.slopes.mass.log, 30.0)
    return base


@torch.no_grad()
def _run(
    effect: Tensor,
    task: Tensor | None = None,
    *,
    num_tasks: int = 1,
    likeness: Tensor | None = None,
    base: RaschBase | None = None,
) -> BaseState:
    if task is None:
        task = torch.zeros(effect.shape[0], dtype=torch.int64)
    if likeness is None:
        likeness = torch.eye(effect.shape[1]).double()
    return (base or _base())(_edges(effect), task, num_tasks, likeness)


def _level(state: BaseState) -> Tensor:
    """(M,) effect logit of each model in the first task."""
    return state.ability[0] + state.skill[0, 0]


def _above_others(state: BaseState, model: int) -> float:
    """Effect logit of a model above the mean of all others."""
    level = _level(state)
    return float(level[model] - level[torch.arange(len(level)) != model].mean())


def _random_effects(num_queries: int, num_models: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    ability = torch.linspace(-1.5, 1.5, num_models)
    easiness = torch.randn(num_queries, 1, generator=generator)
    return (
        torch.rand(num_queries, num_models, generator=generator) < torch.sigmoid(ability + easiness)
    ).double()


@torch.no_grad()
def test_after_enough_rounds_levels_of_each_model_by_itself_are_stationary() -> None:
    effect, task = _random_effects(200, 6), torch.arange(200) % 2
    base, outcomes = _base(), SupportOutcomes(_edges(effect), task, 2, 6)
    queries, level = base._run_first_rounds(outcomes)
    step, _ = outcomes.sum_steps(level, queries.easiness)
    ability, skill = level[0, -1], level[0, :2] - level[0, -1]
    assert (step[0].sum(0) - base.ability_mass()[0] * ability).abs().max() < 0.05
    assert (step[0, :2] - base.skill_mass()[0] * skill).abs().max() < 0.05


@torch.no_grad()
def test_after_enough_rounds_factors_and_what_is_a_models_own_are_stationary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = []

    def keep_the_mode(
        prior: Population, factors: Tensor, likelihood: Likelihood, weight: Tensor
    ) -> Posterior:
        left.append(prior.newton_step(factors, likelihood))
        return Posterior(factors, torch.zeros_like(likelihood.information))

    monkeypatch.setattr(base_module, "update_factors", keep_the_mode)
    effect, task, base = _random_effects(200, 6), torch.arange(200) % 2, _base(slopes=False)
    state = _run(effect, task, num_tasks=2, base=base)
    assert left[0][0].abs().max() < 0.05

    outcomes = SupportOutcomes(_edges(effect), task, 2, 6)
    shared = torch.einsum("tf,fm->tm", state.basis[0, :2] - state.basis[0, 2:], state.factors[0])
    gradient = outcomes.sum_by_cell(state.residual)[0, :2] - base.skill_mass()[0] * (
        state.skill[0, :2] - shared
    )
    # skill - shared is what a model has of its own and a constant a task, the difference of the
    # task's centre
    assert (gradient - gradient.mean(1, keepdim=True)).abs().max() < 0.05
    assert (
        outcomes.sum_by_query(state.residual)[0] - base.easiness_mass()[0] * state.surprise[0]
    ).abs().max() < 0.05


def test_abilities_come_out_in_the_true_order_and_size() -> None:
    level = _level(_run(_random_effects(2000, 6), base=_base(slopes=False)))
    torch.testing.assert_close(
        level - level.mean(), torch.linspace(-1.5, 1.5, 6).double(), atol=0.25, rtol=0
    )


@pytest.mark.parametrize(
    ("num_models", "num_rounds"), [(6, ROUNDS), (6, MANY_ROUNDS), (20, ROUNDS)]
)
def test_abilities_come_out_in_the_true_order_with_slopes(num_models: int, num_rounds: int) -> None:
    level = _level(_run(_random_effects(2000, num_models), base=_base(num_rounds=num_rounds)))
    assert (
        torch.corrcoef(torch.stack([level, torch.linspace(-1.5, 1.5, num_models).double()]))[0, 1]
        > 0.97
    )


def test_abilities_come_out_in_the_true_size_with_slopes() -> None:
    level = _level(_run(_random_effects(2000, 6), base=_base(num_rounds=ROUNDS)))
    torch.testing.assert_close(
        level - level.mean(), torch.linspace(-1.5, 1.5, 6).double(), atol=0.25, rtol=0
    )


def test_few_outcomes_count_relative_to_how_hard_their_queries_were() -> None:
    effect = _random_effects(400, 6)
    easiest = effect[:, :5].mean(1).argsort(descending=True)
    on_easy, on_hard = effect.clone(), effect.clone()
    on_easy[:, 5], on_hard[:, 5] = torch.nan, torch.nan
    on_easy[easiest[:5], 5], on_hard[easiest[-5:], 5] = 1.0, 1.0
    easy, hard = _run(on_easy), _run(on_hard)
    assert hard.ability[0, 5] > easy.ability[0, 5] + 0.3


def test_the_scale_of_an_ability_does_not_depend_on_the_number_of_outcomes() -> None:
    effect = _random_effects(2000, 6, seed=3)
    few = effect.clone()
    few[40:, 3] = torch.nan
    many, some = _run(effect), _run(few)
    assert (many.ability[0, 3] - some.ability[0, 3]).abs() < 0.8


def test_queries_of_unknown_task_have_no_skill_and_the_overall_easiness() -> None:
    task = torch.tensor([0] * 50 + [1] * 50 + [2] * 50)  # 2 = num_tasks: unknown
    state = _run(_random_effects(150, 4), task, num_tasks=2)
    assert (state.skill[:, 2] == 0).all()
    reliability = state.reliability[0]
    total = state.surprise[0] + state.task_easiness[0, task]
    assert state.task_easiness[0, 2] == pytest.approx(
        float((total * reliability).sum() / reliability.sum()), abs=1e-6
    )


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_outcomes_stay_finite(value: float) -> None:
    state = _run(torch.full((30, 3), value, dtype=torch.float64))
    assert all(torch.isfinite(part).all() for part in state)


def _world(seed: int, num_models: int = 20, num_queries: int = 300) -> tuple[Tensor, Tensor]:
    """True levels (M,) of models in random order, and their effects (num_queries, M)."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.linspace(-1.5, 1.5, num_models, dtype=torch.float64)[
        torch.randperm(num_models, generator=generator)
    ]
    easiness = 0.8 * torch.randn(num_queries, 1, generator=generator, dtype=torch.float64)
    solved = torch.rand(num_queries, num_models, generator=generator) < torch.sigmoid(
        level + easiness
    )
    return level, solved.double()


def _by_card(number: Tensor, is_known: Tensor) -> Tensor:
    """Likeness of models whose cards state one number."""
    scaled = (number - number[is_known].mean()) / number[is_known].std()
    card = torch.stack([scaled, torch.zeros_like(scaled)], dim=1)
    return compare_cards(torch.zeros(len(number), 4).double(), card, is_known)


def _without(effect: Tensor, model: int, *, num_kept: int = 0) -> Tensor:
    few = effect.clone()
    few[num_kept:, model] = torch.nan
    return few


class TestNewcomer:
    @pytest.mark.parametrize("wanted", [-1.5, -0.5, 0.0, 1.0, 1.5])
    def test_without_outcomes_its_level_is_what_its_card_says(self, wanted: float) -> None:
        level, effect = _world(0)
        newcomer = int((level - wanted).abs().argmin())
        others = torch.arange(20) != newcomer
        base = _base(num_rounds=ROUNDS)
        told = _run(_without(effect, newcomer), likeness=_by_card(level, others), base=base)
        blind = _run(_without(effect, newcomer), base=base)
        true = float(level[newcomer] - level[others].mean())
        assert _above_others(told, newcomer) == pytest.approx(true, abs=0.3)
        assert _above_others(blind, newcomer) == pytest.approx(0.0, abs=0.15)
        assert told.variance[0, 0, newcomer] < blind.variance[0, 0, newcomer]
        assert told.ability_information[0, newcomer] == 0

    def test_without_outcomes_and_card_it_is_as_uncertain_as_models_differ(self) -> None:
        _, effect = _world(0)
        base = _base(num_rounds=ROUNDS)
        state = _run(_without(effect, 4), base=base)
        between = float(_level(state)[torch.arange(20) != 4].var())
        of_its_own = 1 / float(base.skill_mass().detach()[0])
        assert state.variance[0, 0, 4] == pytest.approx(between + of_its_own, rel=0.3)

    def test_it_moves_from_its_card_to_its_outcomes(self) -> None:
        level, effect = _world(1)
        newcomer, weak = int(level.argmax()), int((level + 1.0).abs().argmin())
        effect[:, newcomer] = effect[:, weak]  # strong by its card, weak by its outcomes
        states = self._as_outcomes_come_in(
            effect, newcomer, _by_card(level, torch.arange(20) != newcomer)
        )
        levels = [_above_others(state, newcomer) for state in states]
        assert levels[:4] == sorted(
            levels[:4], reverse=True
        )  # then the luck of the outcomes decides
        assert levels[0] > 1.0
        assert levels[-1] == pytest.approx(_above_others(states[-1], weak), abs=0.15)

    @pytest.mark.parametrize("has_card", [True, False])
    @pytest.mark.parametrize("newcomer", [0, 7, 13])
    def test_it_grows_surer_with_outcomes(self, newcomer: int, has_card: bool) -> None:
        level, effect = _world(1)
        likeness = (
            _by_card(level, torch.arange(20) != newcomer) if has_card else torch.eye(20).double()
        )
        variances = [
            float(s.variance[0, 0, newcomer])
            for s in self._as_outcomes_come_in(effect, newcomer, likeness)
        ]
        assert variances == sorted(variances, reverse=True)
        assert variances[-1] < 0.1 * variances[0]

    def _as_outcomes_come_in(
        self, effect: Tensor, newcomer: int, likeness: Tensor
    ) -> list[BaseState]:
        base = _base(num_rounds=ROUNDS)
        few = [_without(effect, newcomer, num_kept=num_kept) for num_kept in (0, 6, 30, 120, 300)]
        return [_run(some, likeness=likeness, base=base) for some in few]

    def test_its_variance_is_the_mean_squared_error_of_its_level(self) -> None:
        ratios = []
        for seed in range(8):
            level, effect = _world(seed)
            for newcomer in range(0, 20, 4):
                others = torch.arange(20) != newcomer
                state = _run(_without(effect, newcomer, num_kept=10), base=_base(num_rounds=ROUNDS))
                found, true = (
                    _level(state) - _level(state)[others].mean(),
                    level - level[others].mean(),
                )
                scale = (found * true)[others].sum() / true[others].square().sum()
                error = found[newcomer] - scale * true[newcomer]
                ratios.append(float(error.square() / state.variance[0, 0, newcomer]))
        assert 0.6 < sum(ratios) / len(ratios) < 1.6

    def test_no_other_model_moves_when_it_joins_without_outcomes(self) -> None:
        level, effect = _world(2)
        effect[:, -1] = torch.nan
        is_known, task = torch.arange(20) < 19, torch.arange(300) % 3
        likeness = _by_card(level, is_known)
        base = _base(num_rounds=ROUNDS)
        larger = _run(effect, task, num_tasks=3, likeness=likeness, base=base)
        smaller = _run(effect[:, :-1], task, num_tasks=3, likeness=likeness[:-1, :-1], base=base)
        for name in (
            "task_easiness",
            "surprise",
            "slope",
            "reliability",
            "residual",
            "curvature",
            "basis",
        ):
            torch.testing.assert_close(
                getattr(larger, name), getattr(smaller, name), rtol=0, atol=1e-12
            )
        for name in (
            "ability",
            "ability_information",
            "skill",
            "skill_information",
            "own_variance",
            "factors",
            "variance",
        ):
            torch.testing.assert_close(
                getattr(larger, name)[..., :-1], getattr(smaller, name), rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("seed", range(3))
def test_queries_that_tell_models_apart_have_higher_slopes_than_coin_flips(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    level = torch.linspace(-1.5, 1.5, 12, dtype=torch.float64)
    easiness = 0.5 * torch.randn(200, 1, generator=generator, dtype=torch.float64)
    is_telling = torch.arange(200) % 2 == 0
    chance = torch.where(is_telling.unsqueeze(1), torch.sigmoid(3 * (level + easiness)), 0.5)
    state = _run(
        (torch.rand(200, 12, generator=generator) < chance).double(), base=_base(num_rounds=ROUNDS)
    )
    slope = state.slope[0] * torch.sign(
        (state.factors[0, 0] * level).sum()
    )  # the sign of a factor is arbitrary
    higher = (slope[is_telling].unsqueeze(1) > slope[~is_telling]).double().mean()
    assert higher > 0.95
    assert slope[is_telling].mean() > 0 > slope[~is_telling].mean()


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_permuting_the_models_permutes_what_is_said_of_them(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    level, effect = _world(seed, num_models=7, num_queries=60)
    effect[torch.rand(effect.shape, generator=generator) < 0.3] = torch.nan
    effect[:, 0] = torch.nan
    order, task = (
        torch.randperm(7, generator=generator),
        torch.randint(0, 3, (60,), generator=generator),
    )
    likeness = _by_card(level, torch.arange(7) > 0)
    base = _base(num_rounds=ROUNDS)
    state = _run(effect, task, num_tasks=2, likeness=likeness, base=base)
    permuted = _run(
        effect[:, order], task, num_tasks=2, likeness=likeness[order][:, order], base=base
    )
    for name in (
        "ability",
        "ability_information",
        "skill",
        "skill_information",
        "own_variance",
        "variance",
    ):
        torch.testing.assert_close(
            getattr(permuted, name), getattr(state, name)[..., order], rtol=0, atol=1e-8
        )
    for name in ("task_easiness", "surprise", "reliability"):
        torch.testing.assert_close(getattr(permuted, name), getattr(state, name), rtol=0, atol=1e-8)
