"""What training produced of a graph router."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from graphrouter.config import TrainConfig
from graphrouter.features.channels import LATENCY, SpendUnit
from graphrouter.features.prompts import Float32Array
from graphrouter.features.tables import FittedTransforms
from graphrouter.scoring.decoding import AmountCalibration
from graphrouter.scoring.effects import EffectCalibration, EffectInterval
from graphrouter.scoring.forecaster import Forecaster
from graphrouter.scoring.scorer import FeatureSizes, Scorer

if TYPE_CHECKING:
    from graphrouter.nn.network import RoutingGNN

_SPEND_COLUMNS = ["cost_usd", "output_tokens"]


@dataclass(frozen=True, eq=False)
class Learned:
    """What training produced; independent of the pool and of the support."""

    weights: Mapping[str, Float32Array]
    """Of the network, by the names of its parameters."""
    sizes: FeatureSizes
    transforms: FittedTransforms
    config: TrainConfig
    calibration: EffectCalibration
    """What validation outcomes correct in its effects."""
    interval: EffectInterval
    """How sure the network is of a calibrated effect, calibrated on models left out."""
    amounts: AmountCalibration = field(default_factory=AmountCalibration)
    """What validation outcomes correct in its amounts."""

    @cached_property
    def net(self) -> RoutingGNN:
        """The network, in evaluation mode; it is made when something is to be learned or changed.

        Raises:
            RuntimeError: The weights are not those of the network that the settings make.
        """
        import torch  # here: serving reads the weights

        from graphrouter.nn.network import compose_network

        scale = self.transforms.channels.scale.tolist()
        with torch.random.fork_rng(devices=[]):  # its first weights are thrown away
            net = compose_network(self.config.network, self.sizes, scale)
        # Copies: arrays of an artifact cannot be written to.
        weights = {name: torch.tensor(array) for name, array in self.weights.items()}
        net.load_state_dict(weights)
        return net.eval()

    @cached_property
    def precise_net(self) -> RoutingGNN:
        """The network in double precision, in which states are computed."""
        return copy.deepcopy(self.net).double()

    @property
    def columns_without_use(self) -> tuple[str, ...]:
        """Columns of outcomes that came in no training row, so that nothing can be made of them.

        Costs that were all 0 in training are no such column: then free models are known as free,
        and those of others stay unknown.
        """
        channels, lost = self.transforms.channels, []
        if channels.spend_unit is SpendUnit.NONE:
            lost += ["output_tokens"] if self.transforms.cost.is_known else _SPEND_COLUMNS
        return (*lost, *([] if channels.observed[LATENCY] else ["latency_s"]))

    def make_forecaster(self) -> Forecaster:
        """What reads the scores of the network, in double precision.

        Raises:
            KeyError: A weight is lacking.
        """
        return Forecaster(
            Scorer(self.weights, self.config.network),
            self.transforms.channels,
            self.calibration,
            self.interval,
            self.amounts,
        )
