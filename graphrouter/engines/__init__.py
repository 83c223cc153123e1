"""Predictions by engines that spread work over machines."""

from __future__ import annotations

from graphrouter.engines.ray_assignment import assign_on_ray
from graphrouter.engines.ray_cells import spread_on_ray
from graphrouter.engines.ray_predictions import predict_on_ray
from graphrouter.engines.ray_serving import deploy_route

__all__ = ["assign_on_ray", "deploy_route", "predict_on_ray", "spread_on_ray"]
