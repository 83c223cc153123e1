"""The network of the published GraphRouter, one for each preset, trained side by side.

Edges lead from queries to models only and messages are plain sums, so a layer of PyG's
`GeneralConv(16, 16, in_edge_channels=3)` is a product of the matrix of visible edges with the query
states. This file computes it in that dense form, for all presets and masks at once: the same
function, many times faster than edge by edge.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphrouter.bench.baselines.methods.paper_graph import NUM_ATTRIBUTES, PaperGraph

HALF_WIDTH = 8
"""Channels of the task's and of the query's part of a query node."""
WIDTH = 2 * HALF_WIDTH
_MOMENTUM = 0.1
_EPSILON = 1e-5


class PresetLinear(nn.Module):
    """A linear layer for each preset, drawn as `torch.nn.Linear` draws its own."""

    def __init__(self, num_presets: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(
            torch.empty(num_presets, inputs, outputs).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(num_presets, 1, outputs).uniform_(-bound, bound))

    def forward(self, rows: Tensor) -> Tensor:
        """(P, N, outputs) from rows (N, inputs) that are the same for every preset."""
        num_presets, inputs, outputs = self.weight.shape
        joined = rows @ self.weight.transpose(0, 1).reshape(
            inputs, -1
        )  # one product of all presets is faster than one of each
        return joined.view(-1, num_presets, outputs).transpose(0, 1) + self.bias

    def columns(self, columns: Tensor) -> Tensor:
        """(P, outputs, N) from columns (P, inputs, N)."""
        return torch.matmul(self.weight.transpose(1, 2), columns) + self.bias.transpose(1, 2)


class PresetNorm(nn.Module):
    """Batch norm over all nodes of a mask, for each preset; queries and models are passed apart."""

    mean: Tensor
    variance: Tensor

    def __init__(self, num_presets: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_presets, 1, 1, WIDTH))
        self.bias = nn.Parameter(torch.zeros(num_presets, 1, 1, WIDTH))
        self.register_buffer("mean", torch.zeros(num_presets, 1, 1, WIDTH))
        self.register_buffer("variance", torch.ones(num_presets, 1, 1, WIDTH))

    def forward(self, queries: Tensor, models: Tensor) -> tuple[Tensor, Tensor]:
        """Both, normalised.

        (P, 1 or K, Q, WIDTH) and (P, K, M, WIDTH) for K masks give (P, K, ...) each.
        """
        mean, variance = self.mean, self.variance
        if self.training:
            count = queries.shape[2] + models.shape[2]
            mean = (queries.sum(2, keepdim=True) + models.sum(2, keepdim=True)) / count
            squares = ((queries - mean) ** 2).sum(2, keepdim=True) + ((models - mean) ** 2).sum(
                2, keepdim=True
            )
            variance = squares / count
            self._remember(mean.detach(), squares.detach() / (count - 1))
        scale = self.weight * torch.rsqrt(variance + _EPSILON)
        return (queries - mean) * scale + self.bias, (models - mean) * scale + self.bias

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running averages as one forward pass a mask would, one after the other."""
        num_masks = mean.shape[1]
        share = _MOMENTUM * (1 - _MOMENTUM) ** torch.arange(num_masks - 1, -1, -1).view(1, -1, 1, 1)
        kept = (1 - _MOMENTUM) ** num_masks
        self.mean.mul_(kept).add_((share * mean).sum(1, keepdim=True))
        self.variance.mul_(kept).add_((share * variance).sum(1, keepdim=True))


class PresetConv(nn.Module):
    """`GeneralConv(WIDTH, WIDTH, in_edge_channels=3)` on a bipartite graph.

    Sum aggregation, no attention, self-loop as is.
    """

    def __init__(self, num_presets: int) -> None:
        super().__init__()
        self.message = PresetLinear(num_presets, WIDTH, WIDTH)
        self.edge = PresetLinear(num_presets, NUM_ATTRIBUTES, WIDTH)

    def forward(
        self, queries: Tensor, models: Tensor, attributes: Tensor, visible: Tensor
    ) -> Tensor:
        """New model states (P, K, M, WIDTH); queries receive no message and stay as they are.

        Args:
            queries: (P, 1 or K, Q, WIDTH).
            models: (P, 1 or K, M, WIDTH).
            attributes: (P, K, M, 3) sum over the visible edges of a model.
            visible: (K, M, Q) 1 for an edge that messages may use, else 0.
        """
        degree = visible.sum(2)[..., None]  # (K, M, 1)
        summed = torch.matmul(visible, queries)  # linear maps commute with the sum
        constant = (self.message.bias + self.edge.bias)[:, None]
        mapped = torch.matmul(summed, self.message.weight[:, None]) + torch.matmul(
            attributes, self.edge.weight[:, None]
        )
        return models + mapped + degree * constant


class ModelSide(nn.Module):
    """What makes the states of model nodes, once for each preset.

    That is all of the network but the layers that make query nodes. No message goes to a query and
    none from one model to another, so that in evaluation mode, where batch norm stands still, the
    state of a model depends on its description, on its own edges and on the queries at their other
    end, and on nothing else.
    """

    def __init__(self, num_presets: int, dimension: int) -> None:
        super().__init__()
        self.model = PresetLinear(num_presets, dimension, WIDTH)
        self.attribute = PresetLinear(num_presets, NUM_ATTRIBUTES, NUM_ATTRIBUTES)
        self.convs = nn.ModuleList([PresetConv(num_presets), PresetConv(num_presets)])
        self.norms = nn.ModuleList([PresetNorm(num_presets), PresetNorm(num_presets)])

    def forward(
        self, inputs: Tensor, descriptions: Tensor, attributes: Tensor, visible: Tensor
    ) -> Tensor:
        """Final states of models, (P, K, M, WIDTH).

        Args:
            inputs: (P, Q, WIDTH) input states of queries.
            descriptions: (M, D) embedding of each model's description.
            attributes: (P, 3, M, Q) of all edges; 0 where there is none.
            visible: (K, M, Q) 1 for an edge that messages may use, else 0, for each of K masks.
        """
        mapped = F.relu(self.attribute.columns(attributes.flatten(2))).view(attributes.shape)
        summed = torch.einsum("kmq,pcmq->pkmc", visible, mapped)
        queries, models = inputs[:, None], self.model(descriptions)[:, None]
        models = self.convs[0](queries, models, summed, visible)
        queries, models = (F.relu(states) for states in self.norms[0](queries, models))
        models = self.convs[1](queries, models, summed, visible)
        final: Tensor = self.norms[1](queries, models)[1]
        return final


class PaperNets(nn.Module):
    """The published network, once for each preset."""

    def __init__(self, num_presets: int, dimension: int) -> None:
        super().__init__()
        self.task = PresetLinear(num_presets, dimension, HALF_WIDTH)
        self.query = PresetLinear(num_presets, dimension, HALF_WIDTH)
        self.models = ModelSide(num_presets, dimension)

    def query_states(self, graph: PaperGraph) -> Tensor:
        """Input states of query nodes, (P, Q, WIDTH): task's part, then query's part."""
        return torch.cat(
            [self.task(graph.task)[:, graph.task_of_query], self.query(graph.query)], dim=2
        )

    def forward(self, graph: PaperGraph, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Input states of queries, (P, Q, WIDTH), and final ones of models, (P, K, M, WIDTH).

        Args:
            graph: Queries, models and all edges.
            visible: (K, M, Q) 1 for an edge that messages may use, else 0, for each of K masks.
        """
        inputs = self.query_states(graph)
        return inputs, self.models(inputs, graph.model, graph.attributes, visible)


def edge_logits(inputs: Tensor, models: Tensor) -> Tensor:
    """Logits (P, K, M, Q): mean over the channels.

    From query inputs (P, Q, WIDTH) and model states (P, K, M, WIDTH).
    """
    return torch.matmul(models, inputs[:, None].transpose(2, 3)) / WIDTH


def edge_loss(logits: Tensor, label: Tensor, predicted: Tensor) -> Tensor:
    """Binary cross entropy: mean over predicted edges and masks, summed over the presets.

    Args:
        logits: (P, K, M, Q).
        label: (P, M, Q) 1 for the best model of a query, else 0.
        predicted: (K, M, Q) 1 for an edge that is predicted, else 0.
    """
    weight = predicted / (predicted.sum((1, 2), keepdim=True).clamp_min(1.0) * len(predicted))
    target = label[:, None].expand_as(logits)
    return F.binary_cross_entropy_with_logits(
        logits, target, weight=weight.expand_as(logits), reduction="sum"
    )
