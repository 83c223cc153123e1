"""Tryage: one network predicts the loss of every model on a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.perceptron import (
    Examples,
    Perceptron,
    fit_perceptron,
    measure_squared_error,
    take_log_odds,
)
from graphrouter.bench.baselines.methods.regressors import take_held_examples
from graphrouter.bench.baselines.tools.gradient import Descent
from graphrouter.bench.baselines.tools.rising_curve import sigmoid
from graphrouter.types import FloatArray

HIDDEN = (256,)
DESCENT = Descent(patience=3)


@dataclass(frozen=True, eq=False)
class Tryage(TextBaseline):
    """A perceptron predicts each model's loss on the prompt.

    The loss is 1 - effect here: what the original predicts, the masked-token loss of BERT-like
    experts, is not recorded for language models behind an API. The original adds a penalty for each
    constraint of the user: a weight times a function of the model, such as its size, its recency or
    its price. Here a `Policy` subtracts cost alone; of a penalty by anything else nothing is left,
    though limits can rule models out. The network reads a fixed text embedding instead of being a
    fine-tuned BERT.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> Tryage.fit(data, encoder=HashingEncoder(64)).predict(["Add 2 and 2."]).effect.shape
        (1, 3)
    """

    name: ClassVar[str] = "tryage"
    source: ClassVar[str] = (
        "Tryage: Real-time, Intelligent Routing of User Prompts to Large Language Models (arXiv "
        "2308.11601)"
    )

    losses: Perceptron
    """From the embedding to the log odds of each model's expected loss, 1 - effect: it lies between
    0 and 1."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        It is that of the epoch with the lowest squared error on the validation rows.
        """
        held = take_held_examples(data)
        losses, _ = fit_perceptron(
            Examples(data.questions.vectors, 1 - data.outcomes.effect),
            take_log_odds(1 - data.means.effect[0]),
            hidden=HIDDEN,
            held=None if held is None else Examples(held.inputs, 1 - held.targets),
            seed=data.seed,
            loss=_squared_error,
            settings=DESCENT,
        )
        return cls(data.pool, data.cost_scale, data.encoder, data.amounts, losses)

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect, 1 - expected loss, (num_queries, num_models) in (0, 1)."""
        return 1 - sigmoid(self.losses.apply(questions.vectors))


def _squared_error(log_odds_of_loss: Tensor, loss: Tensor) -> Tensor:
    """What training makes small, as in the original: mean squared error of predicted losses."""
    return measure_squared_error(torch.sigmoid(log_odds_of_loss), loss)
