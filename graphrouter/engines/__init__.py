"""Predictions by engines that spread work over machines."""

from __future__ import annotations

from graphrouter.engines.ray_predictions import predict_on_ray

__all__ = ["predict_on_ray"]
