"""What routers are fitted on: a dataset with its split, settings and text encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset, Split, read_answers, split_dataset
from graphrouter.encoders import TextEncoder, check_is_encoder, create_encoder
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.lazy import pandas as pd

T = TypeVar("T")
Answers: TypeAlias = "pd.DataFrame | Mapping[str, Any]"
"""One flat table of answers; see `data.read_answers`."""


@dataclass(frozen=True, eq=False)
class TrainingView:
    """One dataset, how it is divided, the settings and the text encoder.

    Every router can be fitted on it. What a kind of router makes of the rows (tensors, embeddings,
    clusters) is made on first use and kept, so that the next fit on the same view finds it there.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> view = TrainingView.of(data, encoder=HashingEncoder(64))
        >>> def count(view: TrainingView) -> int:
        ...     return len(view.split.train)
        >>> view.derive(count) == len(view.split.train)
        True
    """

    data: RoutingDataset
    config: TrainConfig
    split: Split
    """Which queries train, validate and test; no router looks at the test queries."""
    encoder: TextEncoder
    progress: bool = False
    """Whether fits show progress bars."""
    is_split_given: bool = False
    """Whether the split was handed in; one that was drawn follows the settings."""
    is_encoder_given: bool = False
    """Whether the text encoder was handed in; one that was made follows the settings."""
    _derived: dict[Callable[[TrainingView], Any], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        data: RoutingDataset | TrainingView | Answers,
        config: TrainConfig | None = None,
        *,
        split: Split | None = None,
        encoder: TextEncoder | None = None,
        progress: bool = False,
    ) -> TrainingView:
        """The view of a dataset, or a view with something else put in place of its own.

        Args:
            data: A dataset, a view of one, or one table of answers; see `data.read_answers`.
            config: All settings; without it those of the view, or the defaults.
            split: Without it one drawn by `config.split`; a view keeps one that it was given.
            encoder: Without it the one that `config.encoder` names; a view keeps one that it was
                given.
            progress: Show progress bars.

        Raises:
            DataError: `data` is neither, or has too few queries to split.
            ConfigError: `config` holds no settings, or those of the text encoder do not go
                together.
            EncoderError: The text encoder cannot be loaded, or is none.
        """
        if encoder is not None:
            check_is_encoder(encoder)
        if config is not None and not isinstance(config, TrainConfig):
            raise ConfigError(
                f"config is a {type(config).__name__}; expected a TrainConfig. Make one with "
                "graphrouter.load_config(PATH, overrides=[...])."
            )
        if split is not None and not isinstance(split, Split):
            raise DataError(
                f"split is a {type(split).__name__}; expected a Split. Make one with "
                "graphrouter.split_dataset(data, config.split)."
            )
        if isinstance(data, TrainingView):
            return data._under(config or data.config, split, encoder, progress=progress)
        if isinstance(data, pd.DataFrame | Mapping):
            data = read_answers(data)
        if not isinstance(data, RoutingDataset):
            raise DataError(
                f"fit received a {type(data).__name__}; expected a dataset, or a table of answers "
                "(a data frame, or a mapping of the columns prompt, model and effect). Load a "
                "dataset with graphrouter.load_dataset(PATH)."
            )
        settings = config or TrainConfig()
        return cls(
            data,
            settings,
            split or split_dataset(data, settings.split),
            encoder or create_encoder(settings.encoder),
            progress,
            is_split_given=split is not None,
            is_encoder_given=encoder is not None,
        )

    def derive(self, make: Callable[[TrainingView], T]) -> T:
        """What `make` makes of this view: called once, then remembered.

        Args:
            make: A function that may look at the data, the split, the text encoder and
                `config.seed`. Views that differ in other settings share what it made.
        """
        if make not in self._derived:
            self._derived[make] = make(self)
        made: T = self._derived[make]
        return made

    def _under(
        self,
        config: TrainConfig,
        split: Split | None,
        encoder: TextEncoder | None,
        *,
        progress: bool,
    ) -> TrainingView:
        """This view under other settings; what these do not change stays as it was given."""
        has_split = self.is_split_given or split is not None
        has_encoder = self.is_encoder_given or encoder is not None
        if not has_split and config.split != self.config.split:
            split = split_dataset(self.data, config.split)
        if not has_encoder and config.encoder != self.config.encoder:
            encoder = create_encoder(config.encoder)
        same_rows = split is None and encoder is None and config.seed == self.config.seed
        return replace(
            self,
            config=config,
            split=split or self.split,
            encoder=encoder or self.encoder,
            progress=progress or self.progress,
            is_split_given=has_split,
            is_encoder_given=has_encoder,
            _derived=self._derived if same_rows else {},
        )
