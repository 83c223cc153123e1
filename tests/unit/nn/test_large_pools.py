"""What a large pool is computed by agrees with what a small one is, where nothing is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from graphrouter.exceptions import TrainingError
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn import card_likeness, layers
from graphrouter.nn.asked_models import predict_asked, predict_asked_sparsely
from graphrouter.nn.card_likeness import InducedLikeness, compare_cards, induce_likeness
from graphrouter.nn.card_regression import predict_from_others
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.outcomes import SupportOutcomes
from graphrouter.nn.population import Likelihood, Population, Posterior, update_factors
from graphrouter.nn.sparse_pairs import AbilityEquations, PairTable
from graphrouter.scoring import torch_operations
from graphrouter.training.episode_losses import Labels, effect_log_loss, episode_losses

NUM_MODELS = 30


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cards(num_models: int = NUM_MODELS) -> tuple[Tensor, Tensor, Tensor]:
    """Text, numbers with marks, and who is known: all but the last."""
    text = torch.nn.functional.normalize(_draw(1, num_models, 6), dim=1)
    card = torch.cat([_draw(2, num_models, 3), torch.zeros(num_models, 3)], dim=1)
    return text, card, torch.arange(num_models) < num_models - 1


@pytest.fixture
def make_both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[object]]:
    """Calls a function as for a small pool, then as for a large one that all models induce."""

    def call(function: Callable[[], object]) -> list[object]:
        monkeypatch.setattr(card_likeness, "MOST_INDUCING", NUM_MODELS)
        results = []
        for largest in (10_000, 0):
            monkeypatch.setattr(layers, "LARGE_POOL", largest)
            results.append(function())
        return results

    return call


class TestInducedLikeness:
    def test_through_all_known_models_it_is_what_cards_say(self) -> None:
        cards = _cards()
        whole, induced = compare_cards(*cards), induce_likeness(*cards, NUM_MODELS)
        known = cards[2]
        torch.testing.assert_close(
            induced.dense[known][:, known], whole[known][:, known], rtol=0, atol=1e-9
        )

    @pytest.mark.parametrize("most", [1, 4, 12])
    def test_through_few_it_keeps_every_diagonal_and_comes_nearer(self, most: int) -> None:
        cards = _cards()
        whole = compare_cards(*cards)
        induced, more = (induce_likeness(*cards, number) for number in (most, most + 4))
        assert induced.factor.shape == (NUM_MODELS, most)
        torch.testing.assert_close(induced.dense.diagonal(), whole.diagonal(), rtol=0, atol=1e-9)
        assert torch.linalg.eigvalsh(induced.dense)[0] > 0
        assert (more.dense - whole).norm() < (induced.dense - whole).norm()

    def test_a_model_of_which_nothing_is_known_changes_nothing_for_the_others(self) -> None:
        text, card, is_known = _cards()
        with_it = induce_likeness(text, card, is_known, 8)
        without = induce_likeness(text[:-1], card[:-1], is_known[:-1], 8)
        torch.testing.assert_close(with_it.dense[:-1, :-1], without.dense, rtol=0, atol=1e-12)

    def test_where_all_cards_say_the_same_one_model_is_enough(self) -> None:
        text, card, is_known = (
            part[:1].expand(20, -1) for part in (*_cards()[:2], torch.ones(1, 1))
        )
        induced = induce_likeness(text, card, is_known[:, 0] > 0, 8)
        assert induced.factor.shape == (20, 1)
        torch.testing.assert_close(induced.own, torch.zeros(20).double(), rtol=0, atol=1e-9)


class TestCardRegression:
    @pytest.mark.parametrize("most", [5, NUM_MODELS])
    def test_it_is_that_of_the_same_likeness_written_out(self, most: int) -> None:
        induced = induce_likeness(*_cards(), most)
        # Known hardly, somewhat, and so well that rounding would show.
        precision = 10.0 ** (4 * _draw(3, 2, 3, NUM_MODELS))
        precision[:, :, -1] = 0.0
        scores = _draw(4, 2, 3, NUM_MODELS)
        for received, expected in zip(
            predict_from_others(scores, precision, induced),
            predict_from_others(scores, precision, induced.dense),
            strict=True,
        ):
            torch.testing.assert_close(received, expected, rtol=1e-6, atol=1e-6)

    def test_without_cards_the_others_say_nothing_but_the_mean(self) -> None:
        nothing = InducedLikeness(torch.zeros(9, 0).double(), torch.ones(9).double())
        precision = torch.ones(1, 2, 9).double()
        mean, variance = predict_from_others(_draw(5, 1, 2, 9), precision, nothing)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-12)
        torch.testing.assert_close(variance, torch.ones_like(variance), rtol=0, atol=1e-12)


def test_the_mixture_of_likenesses_by_moments_is_the_mixture(
    make_both: Callable[[Callable[[], Posterior]], list[Posterior]],
) -> None:
    number, size = NUM_MODELS, 4
    prior = Population(
        centre=_draw(10, 2, 3),
        basis=_draw(11, 2, 3, size),
        mean=_draw(12, 2, size, number),
        variance=_draw(13, 2, size, number).square() + 0.05,
        scores=_draw(14, 2, size, number),
    )
    root = _draw(15, 2, number, size, size) * _draw(16, 2, number, 1, 1)
    likelihood = Likelihood(3 * _draw(17, 2, number, size), root @ root.mT)
    weight = _draw(18, 2, number).square().clamp_max(1.0)
    weight[:, -2:] = 0.0
    factors = 0.3 * _draw(19, 2, size, number)
    each, by_moments = make_both(lambda: update_factors(prior, factors, likelihood, weight))
    for received, expected in zip(by_moments, each, strict=True):
        torch.testing.assert_close(received, expected, rtol=1e-9, atol=1e-9)


class TestAbilityEquations:
    def _equations(self) -> tuple[AbilityEquations, Tensor]:
        generator = torch.Generator().manual_seed(20)
        is_asked = torch.rand(200, NUM_MODELS, generator=generator) < 0.1
        query, model = is_asked.nonzero(as_tuple=True)
        values = torch.rand(len(query), generator=generator, dtype=torch.float64) / 4
        table = PairTable.of(query, model, values, (200, NUM_MODELS))
        dense = table.by_query.to_dense()
        shared = 1 / (dense.sum(1) + 0.5)
        diagonal = dense.sum(0) + 1.0
        matrix = torch.diag(diagonal) - dense.mT @ (shared.unsqueeze(1) * dense)
        return AbilityEquations(table, diagonal, shared), matrix

    def test_they_are_solved(self) -> None:
        equations, matrix = self._equations()
        right = _draw(21, NUM_MODELS, 7)
        right[:, 3] = 0.0
        expected = torch.linalg.solve(matrix, right)
        torch.testing.assert_close(equations.solve(right), expected, rtol=1e-8, atol=1e-8)

    def test_a_tiny_right_hand_side_is_solved_for_as_well(self) -> None:
        equations, matrix = self._equations()
        right = _draw(23, NUM_MODELS, 2) * torch.tensor([1.0, 1e-15]).double()
        found = equations.solve(right) / torch.linalg.solve(matrix, right)
        torch.testing.assert_close(found, torch.ones_like(found), rtol=0, atol=1e-6)

    def test_what_is_not_finite_is_named(self) -> None:
        equations, _ = self._equations()
        broken = equations._replace(diagonal=equations.diagonal * torch.nan)
        with pytest.raises(TrainingError, match="of a large pool"):
            broken.solve(_draw(22, NUM_MODELS, 2))


@pytest.mark.parametrize("is_foretold", [True, False])
@pytest.mark.parametrize("is_chosen", [True, False])
def test_who_was_asked_is_told_by_as_much_in_fewer_columns(
    is_foretold: bool, is_chosen: bool
) -> None:
    generator = torch.Generator().manual_seed(30)
    features = _draw(31, 400, 6) * torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5, 0.0]).double()
    likes = features @ _draw(32, 6, NUM_MODELS) if is_chosen else torch.zeros(400, NUM_MODELS)
    drawn = likes + torch.randn(400, NUM_MODELS, generator=generator).double()
    query = torch.arange(400).repeat_interleave(3)
    edges = OutcomeEdges(query, drawn.topk(3).indices.flatten(), torch.ones(4, 1200).double())
    outcomes = SupportOutcomes(edges, torch.zeros(400).long(), 1, NUM_MODELS)
    every, few = (
        predict(outcomes, features, is_foretold=is_foretold)
        for predict in (predict_asked, predict_asked_sparsely)
    )
    assert few.shape[1] <= 6
    # The covariance over queries of what weights of one variance make of the columns.
    torch.testing.assert_close(few @ few.mT, every @ every.mT, rtol=0, atol=1e-8)


def test_who_was_asked_says_nothing_where_all_were_asked_all() -> None:
    query, model = torch.cartesian_prod(torch.arange(9), torch.arange(4)).T
    edges = OutcomeEdges(query, model, torch.ones(4, 36).double())
    outcomes = SupportOutcomes(edges, torch.zeros(9).long(), 1, 4)
    assert predict_asked_sparsely(outcomes, _draw(33, 9, 3), is_foretold=True).shape == (9, 0)


@pytest.mark.parametrize("density", [0.1, 0.6, 1.0])
def test_a_network_says_the_same_of_a_large_pool(
    make_both: Callable[[Callable[[], Tensor]], list[Tensor]],
    make_graph: Callable[..., RoutingGraph],
    net: RoutingGNN,
    density: float,
) -> None:
    graph = make_graph(num_models=NUM_MODELS, density=density)
    small, large = make_both(lambda: net(graph).location)
    torch.testing.assert_close(large, small, rtol=0, atol=1e-6)


class TestModelsAskedOfEachTarget:
    def test_they_are_scored_as_among_all(
        self,
        make_graph: Callable[..., RoutingGraph],
        net: RoutingGNN,
    ) -> None:
        graph = make_graph(num_models=NUM_MODELS, label_density=0.3)
        labels = Labels.of(graph, is_compact=True)
        assert labels.models is not None
        assert labels.channels.shape[2] < NUM_MODELS
        every, some = net(graph), net(graph, labels.models)
        for whole, part in ((every.location, some.location), (every.log_scale, some.log_scale)):
            expected = torch_operations.take_models(whole, labels.models)
            is_label = torch.isfinite(labels.channels[0])
            torch.testing.assert_close(part[:, is_label], expected[:, is_label], rtol=0, atol=1e-12)

    def test_the_losses_and_their_gradients_are_those_of_the_whole_grid(
        self,
        make_graph: Callable[..., RoutingGraph],
        net: RoutingGNN,
    ) -> None:
        graph = make_graph(num_models=NUM_MODELS, label_density=0.3)
        assert graph.supervision is not None
        found = []
        for is_compact in (False, True):
            net.zero_grad()
            labels = Labels.of(graph, is_compact=is_compact)
            losses = episode_losses(
                net(graph, labels.models),
                labels,
                graph.supervision.true_task,
                graph.supervision.trade_off,
                scale=(1.0,) * 4,
            )
            torch.stack(losses).sum().backward()
            gradients = [part.grad for part in net.parameters() if part.grad is not None]
            flat = torch.cat([part.flatten().clone() for part in gradients])
            found.append((torch.stack(losses).detach(), flat))
        for whole, compact in zip(*found, strict=True):
            torch.testing.assert_close(compact, whole, rtol=1e-9, atol=1e-9)

    def test_labels_land_in_their_cells(self, make_graph: Callable[..., RoutingGraph]) -> None:
        graph = make_graph(num_models=NUM_MODELS, label_density=0.2)
        whole, compact = Labels.of(graph), Labels.of(graph, is_compact=True)
        assert compact.models is not None
        is_label = torch.isfinite(compact.channels[0])
        assert int(is_label.sum()) == int(torch.isfinite(whole.channels[0]).sum())
        row, column = is_label.nonzero(as_tuple=True)
        torch.testing.assert_close(
            compact.channels[:, row, column],
            whole.channels[:, row, compact.models[row, column]],
            equal_nan=True,
        )

    def test_without_any_label_there_is_no_loss(
        self,
        make_graph: Callable[..., RoutingGraph],
        net: RoutingGNN,
    ) -> None:
        graph = make_graph(num_models=NUM_MODELS, label_density=0.0)
        labels = Labels.of(graph, is_compact=True)
        loss = effect_log_loss(net(graph, labels.models), labels)
        assert loss.item() == 0.0
