"""What a training step takes, beside its yardstick: for `warm`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from lightning.pytorch.callbacks import Callback

import graphrouter as gr


class StepClock(Callback):
    """Times training steps, the drawing of their episodes included, and the yardstick between."""

    def __init__(self, gram: Callable[[int], object]) -> None:
        self.gram, self.steps, self.grams = gram, list[float](), list[float]()
        self._end = 0.0

    def on_train_batch_end(self, *_: Any) -> None:
        now = time.process_time()
        if self._end:  # the first step warms up
            self.steps.append(now - self._end)
        self.gram(0)
        self._end = time.process_time()
        self.grams.append(self._end - now)


def measure_training(
    router: gr.GraphRouter,
    data: gr.RoutingDataset,
    num_steps: int,
    gram: Callable[[int], object],
) -> dict[str, Any]:
    """One training step with the settings of the router, over the yardstick `gram`."""
    clock = StepClock(gram)
    training = router.config.training.model_copy(
        update={"max_epochs": 1, "steps_per_epoch": num_steps + 1}
    )
    config = router.config.model_copy(update={"training": training})
    gr.GraphRouter.fit(data, config, encoder=router.encoder, callbacks=[clock])
    value, yardstick = float(np.median(clock.steps)), float(np.median(clock.grams))
    return {"training step, ms": {"value": value * 1e3, "over": {"gram": value / yardstick}}}
