"""Simulated models in several settings: the same skills, used with more or less thought."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphrouter.bench.simulate.simulated_models import SimulatedModels

WORDS = ("low", "medium", "high")
GAIN = 0.35
"""Skill that a step of effort adds, in logits."""
OWN_SPREAD = 0.1
"""Deviation of the skill that a step adds to one kind of content, in logits."""
LENGTHENING = 2.0
"""How many times as many tokens a step of effort writes."""


def make_settings(models: SimulatedModels, num_efforts: int, seed: int) -> SimulatedModels:
    """Each model in that many settings, the least effort first; as they are for one.

    A setting has the name, the prices and the speed of its model, more skill and longer answers.
    """
    if num_efforts == 1:
        return models
    specs, skills, wordiness = [], [], []
    for number, spec in enumerate(models.specs):
        rng = np.random.default_rng([seed, 4, number])
        added = np.zeros(models.skill.shape[1])
        for step, word in enumerate(WORDS[:num_efforts]):
            named = replace(spec, model=f"{spec.model}-{word}", base=spec.model)
            specs.append(replace(named, parameters={"reasoning_effort": word}))
            skills.append(models.skill[number] + added)
            wordiness.append(models.wordiness[number] + step * np.log(LENGTHENING))
            added = added + rng.normal(GAIN, OWN_SPREAD, len(added))
    return SimulatedModels(tuple(specs), np.array(skills), np.array(wordiness))
