"""How tasks are told apart by a prompt, in closed form."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from graphrouter.nn.task_belief import TaskDiscriminant, _log_likelihood, _Sample, _weigh_evidence
from graphrouter.scoring.beliefs import find_density, measure_distances

NUM, SIZE, TASKS = 60, 5, 4


def _draw(apart: float = 2.0) -> tuple[Tensor, Tensor]:
    """Coordinates of queries around means of their tasks, and the tasks; the last has one query."""
    generator = torch.Generator().manual_seed(0)
    task = torch.arange(NUM) % (TASKS - 1)
    task[7] = TASKS - 1
    mean = apart * torch.randn(TASKS, SIZE, generator=generator, dtype=torch.float64)
    noise = torch.randn(NUM, SIZE, generator=generator, dtype=torch.float64)
    return mean[task] + noise * torch.tensor([3.0, 1.0, 1.0, 0.5, 0.1]), task


def test_distances_of_a_query_left_out_are_those_of_a_fit_without_it() -> None:
    values, task = _draw()
    sample = _Sample(values, task, TASKS)
    ridge = 0.03
    fit = sample.fit(ridge)
    received = fit.leave_out(torch.arange(NUM))
    floor = float(sample.scatter.diagonal().mean())
    for row in (0, 8, 31):
        others = torch.arange(NUM) != row
        rest = _Sample(values[others], task[others], TASKS)
        # Ridge, centre and shrinkage are of all queries: one of them hardly moves those.
        covariance = (rest.scatter + ridge * floor * torch.eye(SIZE, dtype=torch.float64)) / NUM
        size = rest.size.unsqueeze(1)
        mean = sample.centre + (rest.mean - sample.centre) * size / (size + fit.shrunk)
        away = values[row] - mean
        distance = (away @ torch.linalg.inv(covariance) * away).sum(1)
        torch.testing.assert_close(received[row], distance)


def test_distances_along_the_axes_are_those_of_the_covariance() -> None:
    values, task = _draw()
    sample = _Sample(values, task, TASKS)
    fit = sample.fit(0.3)
    received = measure_distances((values - sample.centre) @ fit.axes, fit.mean)
    covariance = fit.factor @ fit.factor.T
    size = sample.size.unsqueeze(1)
    mean = sample.centre + (sample.mean - sample.centre) * size / (size + fit.shrunk)
    away = values.unsqueeze(1) - mean
    expected = torch.einsum("ntp,pq,ntq->nt", away, torch.linalg.inv(covariance), away)
    torch.testing.assert_close(received, expected)


@pytest.mark.parametrize("apart", [0.0, 0.3, 20.0])
def test_weights_are_those_of_the_penalised_likelihood(apart: float) -> None:
    values, task = _draw(apart)
    rows = torch.arange(NUM)
    usual = torch.tensor([10.0, 0.5], dtype=torch.float64)
    noise = torch.randn(NUM, TASKS, generator=torch.Generator().manual_seed(1)).double()
    distance = _Sample(values, task, TASKS).fit(0.03).leave_out(rows)
    evidence = torch.stack([find_density(distance, distance.median()), noise])
    received = _weigh_evidence(evidence, task, usual)

    def measure(weight: Tensor) -> float:
        penalty = ((weight - usual) / usual).square().sum() / 2
        return float(penalty - _log_likelihood(evidence, task, weight))

    best = minimize(
        lambda x: measure(torch.from_numpy(x)), usual.numpy(), bounds=[(0, None)] * 2, tol=1e-12
    )
    assert (received >= 0).all()
    assert measure(received) == pytest.approx(best.fun, abs=2e-3)


def _believe(apart: float, ask: Tensor | None = None) -> Tensor:
    """Belief over the tasks that the discriminant alone gives to some coordinates."""
    values, task = _draw(apart)
    text = torch.nn.functional.normalize(torch.ones(NUM, 2, dtype=torch.float64))
    solved = TaskDiscriminant().double().solve(values, text, task, TASKS)
    asked = values if ask is None else ask
    distance = measure_distances((asked - solved.centre) @ solved.axes, solved.mean)
    return torch.softmax(solved.weight[0] * find_density(distance, solved.reach), dim=1)


def test_what_separates_tasks_is_believed_and_what_does_not_is_not() -> None:
    _, task = _draw()
    known = task < TASKS - 1
    assert _believe(20.0)[torch.arange(NUM), task][known].min() > 0.99
    assert _believe(0.0)[torch.arange(NUM), task][known].mean() < 0.45


def test_a_prompt_that_is_far_from_every_task_is_not_surely_of_the_nearest() -> None:
    values, task = _draw(20.0)
    far = values[task == 0].mean(0) * 1e4
    belief = _believe(20.0, torch.stack([far, -far, values.mean(0) + 1e6]))
    assert (belief.max(1).values < 0.5).all()


@pytest.mark.parametrize("task", [[], [0], [1] * 9, [TASKS] * 9])
def test_without_two_tasks_there_is_nothing_to_tell_apart(task: list[int]) -> None:
    num = len(task)
    text, values = torch.zeros(num, 3), torch.ones(num, SIZE)
    solved = TaskDiscriminant().solve(values, text, torch.tensor(task, dtype=torch.int64), TASKS)
    assert not solved.axes.any()
    assert not solved.mean.any()
