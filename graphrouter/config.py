"""All settings in one tree: Python, YAML, `--set` overrides and the artifact's manifest share it.

Unknown keys are refused with the nearest valid name; a field's description is its help text.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import (
    Field,
    model_validator,
)

from graphrouter.documented_model import DocumentedModel, list_fields, suggest_field
from graphrouter.exceptions import ConfigError
from graphrouter.files import parse_yaml, to_path
from graphrouter.text_files import read_plain_file

__all__ = [
    "EncoderConfig",
    "GraphConfig",
    "NetworkConfig",
    "SplitConfig",
    "TrainConfig",
    "TrainingConfig",
    "load_config",
    "parse_config",
]


class Settings(DocumentedModel):
    """A group of settings."""


class EncoderConfig(Settings):
    """Which text encoder turns prompts and descriptions into vectors."""

    name: Literal["wordllama", "sentence-transformers", "hashing"] = Field(
        "wordllama", description="Encoder family."
    )
    path: str | None = Field(
        None, description="Model folder or hub name (sentence-transformers only)."
    )
    dimension: int = Field(
        256,
        ge=8,
        le=4096,
        description="Vector size (hashing and wordllama: 64, 128 or 256 for the latter).",
    )
    max_chars: int = Field(
        20_000,
        ge=100,
        description="Longer texts keep their first and last halves of this many characters.",
    )
    cache_dir: str | None = Field(
        None, description="Folder of the on-disk embedding cache; none by default."
    )


class SplitConfig(Settings):
    """How queries are divided; a `split` column in the data is always kept."""

    by: Literal["query", "task", "model"] = Field(
        "query", description="What is held out: queries, whole tasks, or whole models (by family)."
    )
    validation: float = Field(
        0.1, gt=0, lt=0.5, description="Share for early stopping and calibration."
    )
    test: float = Field(0.2, gt=0, lt=0.8, description="Share that training never sees.")
    seed: int = Field(0, ge=0, description="Seed of the split alone.")

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> SplitConfig:
        if self.validation + self.test >= 0.9:
            raise ValueError(
                f"validation + test is {self.validation + self.test:.2f}; at most 0.9 leaves "
                "something to train on"
            )
        return self


class GraphConfig(Settings):
    """The heterogeneous graph."""

    num_neighbours: int = Field(
        64, ge=1, le=1024, description="Similar support queries that each query attends to."
    )
    max_support_queries: int | None = Field(
        None,
        ge=2,
        description="Most solved queries that training hands to the router, drawn by the seed; all "
        "by default. Fewer bound its memory, and the time of its states, where logs are long.",
    )


Part = Literal[
    "cards",
    "query_slopes",
    "text_prior",
    "foretold_asking",
    "text_skills",
    "task_discriminant",
    "text_easiness",
    "profile",
    "similar_queries",
    "similar_residuals",
    "users",
    "doubt",
    "perceptron",
]


class NetworkConfig(Settings):
    """The graph neural network."""

    width: int = Field(32, ge=4, le=512, description="Common width of the node states.")
    hidden: int = Field(64, ge=4, le=1024, description="Hidden width of the pair readout.")
    num_heads: int = Field(
        4, ge=1, le=16, description="Kernels of the path attention, from flat to sharp."
    )
    base_rounds: int = Field(
        4, ge=1, le=32, description="Unrolled Newton rounds of the Rasch base."
    )
    dropout: float = Field(
        0.3, ge=0, lt=0.9, description="Dropout on node states and in the readout."
    )
    leave_out: tuple[Part, ...] = Field(
        (),
        description="Parts of the network that are left out, to see what they buy: any of "
        f"{', '.join(get_args(Part))}.",
    )


class TrainingConfig(Settings):
    """Episodes, losses and the optimiser."""

    learning_rate: float = Field(
        1e-3, gt=0, le=1, description="Peak learning rate of AdamW (cosine decay)."
    )
    structural_speed: float = Field(
        10.0, gt=0, description="Learning rate of prior masses, kernels and mixtures, relative."
    )
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay of AdamW.")
    max_epochs: int = Field(
        12,
        ge=0,
        description="Most epochs; an epoch ends with a validation. 0: nothing is trained, and the "
        "network predicts from its start values.",
    )
    steps_per_epoch: int = Field(25, ge=1, description="Most episodes in an epoch.")
    max_visits: int = Field(
        25,
        ge=1,
        description="Times that a training query is a target, at most: small data take fewer "
        "episodes, lest they are memorised.",
    )
    batch_queries: int = Field(256, ge=1, description="Target queries drawn in an episode.")
    support_queries: int = Field(
        2048, ge=1, description="Most support queries drawn in an episode."
    )
    newcomer_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Chance that a family of models, or a task, plays the newcomer in an episode.",
    )
    newcomer_max_shots: int = Field(
        300,
        ge=1,
        description="Most outcomes (of a task: queries) that a newcomer keeps; log-uniform from 0.",
    )
    hide_task: float = Field(
        0.5, ge=0, le=1, description="Chance that a target query hides its task."
    )
    hide_description: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Chance that a model or a task hides its description in an episode.",
    )
    tokens_weight: float = Field(0.1, ge=0, description="Weight of the token and cost likelihoods.")
    latency_weight: float = Field(0.1, ge=0, description="Weight of the latency likelihood.")
    task_weight: float = Field(0.1, ge=0, description="Weight of the likelihood of hidden tasks.")
    decision_weight: float = Field(
        0.05, ge=0, description="Weight of the expected regret of a soft policy."
    )
    patience: int = Field(
        5, ge=1, description="Epochs without a better validation objective before training stops."
    )
    gradient_clip: float = Field(1.0, gt=0, description="Largest gradient norm.")
    num_threads: int = Field(
        1,
        ge=1,
        le=256,
        description="CPU threads; more help only with large pools on an idle machine.",
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="Lightning accelerator; auto takes a CUDA GPU if there is one."
    )
    devices: int = Field(
        1,
        ge=1,
        le=1024,
        description="GPUs, or processes on CPU; several need a script with a __main__ guard.",
    )


class TrainConfig(Settings):
    """Everything that decides what a trained router is.

    Example:
        >>> TrainConfig(seed=1).training.patience
        5
    """

    seed: int = Field(0, ge=0, lt=2**32, description="Seed of weights and episodes.")
    encoder: EncoderConfig = Field(default_factory=EncoderConfig, description="Text encoder.")
    split: SplitConfig = Field(default_factory=SplitConfig, description="Division of the data.")
    graph: GraphConfig = Field(default_factory=GraphConfig, description="Graph.")
    network: NetworkConfig = Field(default_factory=NetworkConfig, description="Network.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="Training.")

    def without_training(self) -> TrainConfig:
        """The same settings, but nothing is trained: the network predicts from its start values.

        Example:
            >>> TrainConfig().without_training().training.max_epochs
            0
        """
        training = self.training.model_copy(update={"max_epochs": 0})
        return self.model_copy(update={"training": training})


def parse_config(values: dict[str, Any], *, source: str = "configuration") -> TrainConfig:
    """The settings in a nested mapping, defaults filled in.

    Raises:
        ConfigError: An unknown key (the message names the nearest valid one) or a value out of
            range.
    """
    return TrainConfig.parse(values, source=source)


def load_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> TrainConfig:
    """Settings of a YAML file with `key=value` overrides on top; without a file, the defaults.

    Example:
        >>> load_config(overrides=["training.learning_rate=1e-3"]).training.learning_rate
        0.001

    Raises:
        ConfigError: The file is missing or no YAML mapping, or a setting is not accepted.
    """
    values: Any = (
        {}
        if path is None
        else read_yaml(
            to_path(path, "settings", ConfigError), missing=f"No configuration file at {path}."
        )
    )
    source = "--set" if path is None else str(path)
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} holds a {type(values).__name__}; expected a mapping of settings."
        )
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigError(
                f"--set {override!r}: expected key=value, for example training.learning_rate=1e-3."
            )
        _set_dotted(values, key.strip(), _parse_value(override, text))
    return parse_config(values, source=source)


def read_yaml(path: Path, *, missing: str) -> Any:
    """What a YAML file holds, as plain values; an empty mapping where it holds nothing.

    Args:
        path: The file.
        missing: What to say when there is none.

    Raises:
        ConfigError: The file is missing, no UTF-8 text or no YAML.
    """
    if not path.is_file():
        raise ConfigError(missing)
    values = read_plain_file(path, refuse=ConfigError)
    return {} if values is None else values


def _parse_value(override: str, text: str) -> Any:
    import yaml  # here: a saved router has its settings as JSON

    try:
        value = parse_yaml(text)
    except yaml.YAMLError:
        raise ConfigError(
            f"--set {override!r}: the value is no valid YAML. Put it in quotes, for example "
            "key='\"a: b\"'."
        ) from None
    # YAML 1.1 reads 1e-3 as a string. What stands in quotes is meant as one.
    if isinstance(value, str) and value == text.strip() and value[-1:].isdigit():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _set_dotted(values: dict[str, Any], key: str, value: Any) -> None:
    if key not in set(list_fields(TrainConfig)):
        raise ConfigError(f"--set: unknown setting {key!r}. {suggest_field(key, TrainConfig)}")
    *groups, name = key.split(".")
    for group in groups:
        nested = values.setdefault(group, {})
        if not isinstance(nested, dict):
            raise ConfigError(
                f"--set {key}: {group!r} holds {nested!r} in the file; expected a mapping."
            )
        values = nested
    values[name] = value
