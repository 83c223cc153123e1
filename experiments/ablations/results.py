"""The committed results of the studies, as tables and figures want them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.ablations.studies import CURVES, FEW, SIZES, STUDIES
from graphrouter.bench.evaluation.newcomers.shots import name_shot
from graphrouter.bench.evaluation.results import Evaluation

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Ablations:
    """Everything that was found; what was not run is absent."""

    studies: dict[str, list[Evaluation]]
    """Evaluations of each study, by dataset."""
    curves: dict[str, dict[str, Evaluation]]
    """Evaluation of each size (`200`, `all`), from few to all, by dataset."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of all datasets, sorted."""
        named = {found.dataset for each in self.studies.values() for found in each}
        return tuple(sorted(named | set(self.curves)))

    @property
    def num_seeds(self) -> int:
        """Splits of a dataset; the fewest where they differ."""
        every = [found for each in self.studies.values() for found in each]
        every += [found for by_size in self.curves.values() for found in by_size.values()]
        return min((len(found.seeds) for found in every), default=0)

    @property
    def few(self) -> dict[str, Evaluation]:
        """The evaluation after few queries, in which every baseline stands, by dataset."""
        return {
            name: by_size[str(FEW)] for name, by_size in self.curves.items() if str(FEW) in by_size
        }


def load_results(folder: Path = RESULTS) -> Ablations:
    """The evaluations in the folder."""
    studies = {study: _read(sorted(folder.glob(f"{study}-*.json"))) for study in STUDIES}
    labels = [name_shot(size) for size in SIZES]
    curves: dict[str, dict[str, Evaluation]] = {}
    for label in labels:
        for found in _read(sorted(folder.glob(f"{CURVES}-*-{label}.json"))):
            curves.setdefault(found.dataset, {})[label] = found
    return Ablations(
        {name: found for name, found in studies.items() if found}, dict(sorted(curves.items()))
    )


def _read(files: Sequence[Path]) -> list[Evaluation]:
    return [Evaluation.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]
