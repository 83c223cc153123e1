"""The models of the simulated dataset.

Made-up families with prices, skills, verbosity and speed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from graphrouter.bench.simulate.prompts import TASKS
from graphrouter.types import FloatArray

FAMILY_SPREAD = 0.4
"""Deviation of a family's skill at one kind of content, in logits."""
MODEL_SPREAD = 0.7
"""Deviation of a model's own skill at one kind of content, in logits."""
EFFORTS = ("low", "medium", "high")
"""Settings of a simulated model, the least effort first."""
GAIN = 0.35
"""Skill that a step of effort adds, in logits."""
OWN_SPREAD = 0.1
"""Deviation of the skill that a step adds to one kind of content, in logits."""
LENGTHENING = 2.0
"""How many times as many tokens a step of effort writes."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A simulated model: its card, and what its answers are like."""

    model: str
    family: str
    description: str
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    context_tokens: int
    ability: float
    """Skill at everything, in logits."""
    verbosity: float
    """Length of its answers relative to a plain one."""
    tokens_per_s: float
    first_token_s: float
    skills: Mapping[str, float] = field(default_factory=dict)
    """Skill at a task on top of the ability, in logits."""
    num_params: float | None = None
    tools: bool = False
    vision: bool = False
    json: bool = False
    base: str | None = None
    """The model that this is a setting of."""
    parameters: Mapping[str, str] | None = None
    """What makes it one."""


# In an order in which any first few of them differ in price and skill.
_BASE: tuple[ModelSpec, ...] = (
    ModelSpec(
        model="juniper-30b", family="juniper",
        description="Open-weight model of middle size, an even all-rounder at a low price.",
        input_usd_per_mtok=0.25, output_usd_per_mtok=0.25, context_tokens=64_000, num_params=30e9,
        ability=0.0, verbosity=1.0, tokens_per_s=95.0, first_token_s=0.45, tools=True, json=True,
        skills={"facts": 0.2},
    ),
    ModelSpec(
        model="tarn-grand", family="tarn",
        description="Flagship of its maker: the broadest knowledge and the surest reasoning, at "
                    "the highest price.",
        input_usd_per_mtok=4.0, output_usd_per_mtok=16.0, context_tokens=200_000,
        ability=1.6, verbosity=1.1, tokens_per_s=60.0, first_token_s=0.9,
        tools=True, vision=True, json=True,
        skills={"professional": 0.4, "writing": 0.3},
    ),
    ModelSpec(
        model="brindle-spark", family="brindle",
        description="Small and cheap model trained on source code; little else was in its diet.",
        input_usd_per_mtok=0.12, output_usd_per_mtok=0.36, context_tokens=32_000,
        ability=-0.8, verbosity=0.8, tokens_per_s=180.0, first_token_s=0.3, json=True,
        skills={"code_writing": 2.0, "code_reading": 1.7, "extraction": 0.8, "writing": -0.5},
    ),
    ModelSpec(
        model="thimble-count", family="thimble",
        description="Small model for sums and school mathematics that writes out its steps.",
        input_usd_per_mtok=0.15, output_usd_per_mtok=0.45, context_tokens=16_000, num_params=9e9,
        ability=-0.8, verbosity=1.5, tokens_per_s=150.0, first_token_s=0.35,
        skills={"word_problems": 2.2, "logic_puzzles": 1.5, "translation": -0.4},
    ),
    ModelSpec(
        model="wayfare-letter", family="wayfare",
        description="Cheap multilingual model for letters, translations and documents.",
        input_usd_per_mtok=0.1, output_usd_per_mtok=0.3, context_tokens=128_000,
        ability=-0.7, verbosity=0.9, tokens_per_s=170.0, first_token_s=0.3, json=True,
        skills={"translation": 1.8, "summarising": 1.0, "extraction": 0.6, "writing": 1.0,
                "code_writing": -0.5},
    ),
    ModelSpec(
        model="tarn-swift", family="tarn",
        description="Fast general model for everyday work, with tools and image input.",
        input_usd_per_mtok=0.6, output_usd_per_mtok=2.4, context_tokens=128_000,
        ability=0.4, verbosity=1.0, tokens_per_s=140.0, first_token_s=0.4,
        tools=True, vision=True, json=True,
        skills={"writing": 0.3},
    ),
    ModelSpec(
        model="thimble-proof", family="thimble",
        description="Reasoning model that thinks at length before it answers: proofs, puzzles, "
                    "hard sums.",
        input_usd_per_mtok=2.0, output_usd_per_mtok=8.0, context_tokens=128_000,
        ability=0.7, verbosity=3.0, tokens_per_s=90.0, first_token_s=1.5, tools=True,
        skills={"word_problems": 1.5, "logic_puzzles": 1.7, "code_reading": 1.0,
                "translation": -0.5, "writing": -0.6},
    ),
    ModelSpec(
        model="juniper-7b", family="juniper",
        description="The smallest open-weight model of its family, for simple jobs at almost no "
                    "cost.",
        input_usd_per_mtok=0.05, output_usd_per_mtok=0.05, context_tokens=32_000, num_params=7e9,
        ability=-0.9, verbosity=0.8, tokens_per_s=230.0, first_token_s=0.2,
    ),
    ModelSpec(
        model="brindle-forge", family="brindle",
        description="Large code model for whole programs, queries and debugging, with tools.",
        input_usd_per_mtok=1.2, output_usd_per_mtok=3.6, context_tokens=128_000,
        ability=0.1, verbosity=1.2, tokens_per_s=85.0, first_token_s=0.6, tools=True, json=True,
        skills={"code_writing": 1.7, "code_reading": 1.5, "extraction": 0.4, "facts": -0.3},
    ),
    ModelSpec(
        model="wayfare-atlas", family="wayfare",
        description="Large multilingual model for contracts, reports and rare languages.",
        input_usd_per_mtok=1.5, output_usd_per_mtok=4.5, context_tokens=256_000,
        ability=0.2, verbosity=1.0, tokens_per_s=75.0, first_token_s=0.7, tools=True, json=True,
        skills={"translation": 1.4, "summarising": 0.7, "professional": 0.6, "extraction": 0.5,
                "word_problems": -0.3},
    ),
    ModelSpec(
        model="tarn-pebble", family="tarn",
        description="Smallest sibling of a flagship: quick, terse and cheap.",
        input_usd_per_mtok=0.08, output_usd_per_mtok=0.32, context_tokens=64_000,
        ability=-0.2, verbosity=0.7, tokens_per_s=220.0, first_token_s=0.25, vision=True, json=True,
        skills={"summarising": 0.3},
    ),
    ModelSpec(
        model="juniper-180b", family="juniper",
        description="Largest open-weight model of its family, close to the flagships in knowledge.",
        input_usd_per_mtok=1.8, output_usd_per_mtok=1.8, context_tokens=128_000, num_params=180e9,
        ability=0.6, verbosity=1.2, tokens_per_s=45.0, first_token_s=0.8, tools=True, json=True,
        skills={"facts": 0.9, "professional": 0.7, "writing": -0.3},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class SimulatedModels:
    """The models of one simulated world."""

    specs: tuple[ModelSpec, ...]
    skill: FloatArray
    """(num_models, num_facets), logits; the facets of all tasks one after the other."""
    wordiness: FloatArray
    """(num_models, num_tasks), log of the answer length relative to a plain answer."""

    @property
    def table(self) -> pd.DataFrame:
        """The models table of a dataset.

        The descriptions tell of the best and the worst kinds of content.
        """
        columns = (
            "model",
            "description",
            "family",
            "input_usd_per_mtok",
            "output_usd_per_mtok",
            "context_tokens",
            "num_params",
        )
        frame = pd.DataFrame(
            [
                {name: getattr(spec, name) for name in (*columns, "tools", "vision", "json")}
                for spec in self.specs
            ]
        )
        frame["description"] = self._describe()
        if self.specs[0].base is not None:
            frame["base"] = [spec.base for spec in self.specs]
            frame["parameters"] = [json.dumps(spec.parameters) for spec in self.specs]
        return frame

    def _describe(self) -> list[str]:
        labels = [facet.label for task in TASKS for facet in task.facets]
        # Relative to the other models and to its own mean: what sets a model apart
        apart = self.skill - self.skill.mean(axis=0)
        told = []
        for spec, own in zip(self.specs, apart, strict=True):
            order = np.argsort(-(own - own.mean()), kind="stable")
            best = ", ".join(labels[j] for j in order[:4])
            worst = " and ".join(labels[j] for j in order[-2:])
            told.append(f"{spec.description} Good at {best}; weak at {worst}.")
        return told


def make_models(count: int, seed: int) -> SimulatedModels:
    """The first `count` models of the world with this seed.

    A model is the same however many others there are.
    """
    sizes = [len(task.facets) for task in TASKS]
    specs, skills, wordiness = [], [], []
    for number in range(count):
        rng = np.random.default_rng([seed, 1, number])
        spec = _make_release(_BASE[number % len(_BASE)], number // len(_BASE) + 1, rng)
        family = sorted({base.family for base in _BASE}).index(spec.family)
        of_family = np.random.default_rng([seed, 2, family]).normal(0.0, FAMILY_SPREAD, sum(sizes))
        of_task = np.repeat([spec.skills.get(task.task, 0.0) for task in TASKS], sizes)
        specs.append(spec)
        skills.append(
            spec.ability + of_task + of_family + rng.normal(0.0, MODEL_SPREAD, sum(sizes))
        )
        wordiness.append(np.log(spec.verbosity) + rng.normal(0.0, 0.15, len(TASKS)))
    return SimulatedModels(tuple(specs), np.array(skills), np.array(wordiness))


def _make_release(base: ModelSpec, release: int, rng: np.random.Generator) -> ModelSpec:
    """`base` itself for release 1, a later release of it otherwise.

    A later release has another price and ability.
    """
    if release == 1:
        return base
    factor = float(np.exp(rng.normal(-0.15, 0.3)))
    return replace(
        base,
        model=f"{base.model}-v{release}",
        description=f"Release {release} of {base.model}. {base.description}",
        input_usd_per_mtok=round(base.input_usd_per_mtok * factor, 3),
        output_usd_per_mtok=round(base.output_usd_per_mtok * factor, 3),
        ability=base.ability + float(rng.normal(0.1, 0.3)),
        verbosity=base.verbosity * float(np.exp(rng.normal(0.0, 0.2))),
    )


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
        for step, word in enumerate(EFFORTS[:num_efforts]):
            named = replace(spec, model=f"{spec.model}-{word}", base=spec.model)
            specs.append(replace(named, parameters={"reasoning_effort": word}))
            skills.append(models.skill[number] + added)
            wordiness.append(models.wordiness[number] + step * np.log(LENGTHENING))
            added = added + rng.normal(GAIN, OWN_SPREAD, len(added))
    return SimulatedModels(tuple(specs), np.array(skills), np.array(wordiness))
