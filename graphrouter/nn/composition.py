"""Which parts a network is made of: one function turns the settings into modules.

A part is left out by putting another module with the same call in its place, which says nothing. The
network itself does not know what was left out, and your own part goes in the same way:

    parts = compose_parts(config, sizes)
    net = RoutingGNN(dataclasses.replace(parts, path_attention=MyAttention(...)), sizes)
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from graphrouter.config import NetworkConfig, Part
from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.nn.attention import (
    NoPathAttention,
    PathAttention,
    SurpriseAttention,
    TaskAttention,
)
from graphrouter.nn.layers import FeatureEncoder, zero_linear
from graphrouter.nn.network import FeatureSizes, NetworkParts, RoutingGNN
from graphrouter.nn.population import CardLikeness, NoLikeness
from graphrouter.nn.rasch import NoQuerySlopes, QuerySlopes, RaschBase
from graphrouter.nn.readout import (
    AmountPerceptron,
    Doubt,
    NoDoubt,
    NoPerceptron,
    NoTextEasiness,
    PairReadout,
    TextEasiness,
)
from graphrouter.nn.regressions import EasinessSlope, NoEasinessSlope, NoProfile, Profile

_NO_SCALE = (1.0,) * NUM_CHANNELS


def compose_network(
    config: NetworkConfig, sizes: FeatureSizes, channel_scale: Sequence[float] = _NO_SCALE
) -> RoutingGNN:
    """A network with random weights.

    Args:
        config: Its settings.
        sizes: Widths of the node features.
        channel_scale: (C,) natural logarithms a unit of each channel.

    Example:
        >>> net = compose_network(NetworkConfig(leave_out=("doubt",)), FeatureSizes(8, 12, 4))
        >>> type(net.readout.doubt).__name__
        'NoDoubt'
    """
    return RoutingGNN(compose_parts(config, sizes, channel_scale), sizes)


def compose_parts(
    config: NetworkConfig, sizes: FeatureSizes, channel_scale: Sequence[float] = _NO_SCALE
) -> NetworkParts:
    """The parts of a network with random weights; arguments as in `compose_network`.

    Layers with random weights are made in a fixed order, and what is left out is made all the same
    and thrown away: with one seed, the parts that stay start from the same weights whatever is left
    out, so that a comparison is about the part alone.
    """
    width, dropout = config.width, config.dropout

    def choose(part: Part, whole: nn.Module, silent: nn.Module) -> nn.Module:
        return silent if part in config.leave_out else whole

    query_encoder = FeatureEncoder(sizes.principal, width, dropout)
    model_encoder = FeatureEncoder(sizes.text + sizes.card + 1, width, dropout)
    task_encoder = FeatureEncoder(sizes.text + 1, width, dropout)
    base = RaschBase(
        config.base_rounds,
        channel_scale,
        slopes=choose("query_slopes", QuerySlopes(), NoQuerySlopes()),
    )
    profile_to_model = zero_linear(sizes.principal, width)
    task_to_query = nn.Linear(2 * width, width)
    task_attention = TaskAttention(width)
    hears_residuals = "similar_residuals" not in config.leave_out
    attention = PathAttention if hears_residuals else SurpriseAttention
    path_attention: PathAttention | NoPathAttention = attention(
        NUM_CHANNELS, width, config.num_heads
    )
    if "similar_queries" in config.leave_out:
        path_attention = NoPathAttention()
    perceptron = AmountPerceptron(width, config.hidden, dropout)
    doubt = Doubt(width)
    return NetworkParts(
        text_easiness=choose("text_easiness", TextEasiness(), NoTextEasiness()),
        query_encoder=query_encoder,
        model_encoder=model_encoder,
        task_encoder=task_encoder,
        likeness=choose("cards", CardLikeness(), NoLikeness()),
        base=base,
        profile=choose("profile", Profile(), NoProfile()),
        easiness_slope=choose("text_easiness", EasinessSlope(), NoEasinessSlope()),
        profile_to_model=profile_to_model,
        task_to_query=task_to_query,
        task_attention=task_attention,
        path_attention=path_attention,
        readout=PairReadout(
            perceptron=choose("perceptron", perceptron, NoPerceptron()),
            doubt=choose("doubt", doubt, NoDoubt()),
        ),
    )
