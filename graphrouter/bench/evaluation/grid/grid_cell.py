"""One router on one split of one dataset: the unit of work, of failure and of resumption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from graphrouter import __version__
from graphrouter.config import TrainConfig

_FORMAT = 1
_DIGEST_CHARS = 12


@dataclass(frozen=True)
class GridCell:
    """What is to be fitted and asked.

    What else a result depends on, a subclass adds as fields and names in `circumstances`.

    Example:
        >>> config = set_seeds(TrainConfig(), 1)
        >>> name, fingerprint = "simulated", "0123456789ab"
        >>> cell = GridCell("simulated", name, fingerprint, "graphrouter", config, Path("cells"))
        >>> cell.seed, cell.file.parent.as_posix()
        (1, 'cells/simulated-01234567/seed1')
    """

    data: str
    """Folder of the dataset, or `simulated`."""
    name: str
    """Name of the dataset."""
    fingerprint: str
    """Contents of the dataset."""
    router: str
    """The router: the name that the figures stand under."""
    config: TrainConfig
    """Settings of this seed: see `set_seeds`."""
    folder: Path
    """Where the cells of the grid are kept."""

    @property
    def seed(self) -> int:
        """Seed of the split and of whatever is drawn for the cell."""
        return self.config.split.seed

    @property
    def has_network(self) -> bool:
        """False for a router that the settings of the network are nothing to."""
        return True

    @property
    def circumstances(self) -> Sequence[object]:
        """What else the result depends on than dataset, router and settings, as plain values."""
        return ()

    @cached_property
    def file(self) -> Path:
        """Where the result is kept."""
        folder = self.folder / f"{self.name}-{self.fingerprint[:8]}" / f"seed{self.seed}"
        return folder / f"{self.router}-{self.digest()[:_DIGEST_CHARS]}.safetensors"

    def digest(self) -> str:
        """SHA-256 (hex) of all that the result depends on.

        Where embeddings are cached is no part of it.
        """
        settings = self.config.model_dump(mode="json")
        settings["encoder"].pop("cache_dir")
        if not self.has_network:
            settings = {name: settings[name] for name in ("seed", "encoder", "split")}
        parts = [_FORMAT, __version__, self.fingerprint, self.router, settings, *self.circumstances]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def set_seeds(config: TrainConfig, seed: int) -> TrainConfig:
    """The settings of one seed: it divides the data, and seeds whatever the router draws.

    Example:
        >>> config = set_seeds(TrainConfig(), 3)
        >>> config.seed, config.split.seed
        (3, 3)
    """
    split = config.split.model_copy(update={"seed": seed})
    return config.model_copy(update={"seed": seed, "split": split})
