"""Mean residuals of a model on a task, and the tests that tell a change of them from chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import ndtri

from graphrouter.monitoring.drift_reference import Calibration
from graphrouter.monitoring.drift_report import Comparison, DriftReport, ModelCheck, Verdict
from graphrouter.monitoring.p_values import Chance, adjust_p_values
from graphrouter.types import FloatArray, IntArray

FEWEST_OUTCOMES = 20
"""With fewer outcomes a model, or a task of it, gets no verdict."""
BATCH_SPREAD = 0.01
"""Deviation of a model's mean residual from batch to batch that is allowed for without any sign of
it."""
MODEL_SHARE = 0.8
"""Share of the level that is spent on models over all tasks; the rest is spent on single tasks of
models."""


@dataclass(frozen=True, eq=False)
class DriftCells:
    """Mean residuals of cells, a model on a task each, and how far they stray by chance."""

    table: pd.DataFrame
    """One row a cell: `place` of the model in the pool, `model`, `task`, `size`, and the means
    `effect`, `expected`, `usual`."""
    chance: Chance
    """For means over cells."""
    chance_of_cells: Chance
    """For the cells themselves."""
    level: float

    @classmethod
    def of(cls, rows: pd.DataFrame, calibration: Calibration, level: float) -> DriftCells:
        """The cells of compared outcomes."""
        fresh = ~rows["repeated"]
        residual = rows["effect"] - rows["expected"]
        # An effect in [0, 1] with mean p varies by at most p (1 - p); a repeated one by what
        # changed both ways (McNemar, 1947).
        noise = np.where(fresh, rows["expected"] * (1 - rows["expected"]), residual**2)
        grouped = rows.assign(fresh=fresh, residual=residual, noise=noise).groupby(
            ["place", "model", "task"]
        )
        size = grouped.size()
        table = grouped[["effect", "expected", "fresh"]].mean().assign(size=size).reset_index()
        scatter = (
            grouped["noise"]
            .sum()
            .clip(lower=grouped["residual"].var(ddof=0) * size)
            .to_numpy(dtype=np.float64)
        )
        offsets = calibration.offsets(pd.MultiIndex.from_frame(table[["model", "task"]]))
        share = table["fresh"].to_numpy(dtype=float)
        same_model = np.equal.outer(table["place"].to_numpy(), table["place"].to_numpy())
        covariance = (
            _sampling(
                rows["query"],
                grouped.ngroup(),
                residual,
                scatter,
                np.asarray(size, dtype=np.float64),
            )
            + np.outer(share, share) * offsets.covariance
            + BATCH_SPREAD**2 * same_model
        )
        # One outcome's worth more: the normal curve underrates rare failures (in the spirit of
        # Agresti and Coull, 1998). A mean over cells needs it once, a cell by itself too.
        whole = size.groupby("place").transform("sum")
        once, each = (
            Chance.of(covariance + np.diag(np.asarray(extra, dtype=np.float64)))
            for extra in (1 / (size * whole), 1 / size**2)
        )
        return cls(table.assign(usual=table["expected"] + share * offsets.mean), once, each, level)

    def report(self, *, num_repeated: int, num_left_out: int) -> DriftReport:
        """Every model, and every task of it, beside what was expected."""
        models, tasks = (_positions(self.table[by]) for by in ("place", "task"))
        cells = [[np.array([cell]) for cell in task] for task in tasks]
        share = MODEL_SHARE if len(tasks) > 1 else 1.0
        overall = self._test([models], self.chance, share=share)
        single = self._test(cells, self.chance_of_cells, share=1 - share) if len(tasks) > 1 else {}
        everyone = self._test(
            [[task] for task in tasks], self.chance, share=1.0
        )  # alone in its group, a task shares no shift
        named = self.table["task"].tolist()
        return DriftReport(
            models=tuple(
                ModelCheck(
                    self._compare(self.table["model"].iloc[cells[0]], cells, overall),
                    tuple(
                        self._compare(named[cell], np.array([cell]), single or overall)
                        for cell in cells
                    ),
                )
                for cells in models
            ),
            tasks=tuple(self._compare(named[task[0]], task, everyone) for task in tasks),
            common_shift=next(iter(overall.values())).shift if overall else float("nan"),
            level=self.level,
            num_repeated=num_repeated,
            num_left_out=num_left_out,
        )

    def _test(
        self, groups: Sequence[Sequence[IntArray]], chance: Chance, *, share: float
    ) -> dict[tuple[int, ...], _Tested]:
        """By the cells that a test is made of, what it found.

        The tests of a group share a shift, all of them an error rate.

        Args:
            groups: Tests as positions of their cells; those with too few outcomes are left out.
            chance: How far the cells stray.
            share: Share of the level that these tests may spend.
        """
        size = self.table["size"].to_numpy(dtype=float)
        means = (self.table["effect"] - self.table["usual"]).to_numpy(dtype=float)
        enough = [
            [test for test in group if size[test].sum() >= FEWEST_OUTCOMES] for group in groups
        ]
        enough = [group for group in enough if group]
        if not enough:
            return {}
        parts = [chance.contrasts(means, _weights(group, size)) for group in enough]
        spread = np.concatenate([part.spread for part in parts])
        value = np.concatenate([part.value for part in parts])
        p_values = adjust_p_values(
            value / spread, np.hstack([part.draws for part in parts]) / spread
        )
        shifts = [part.shift for part, group in zip(parts, enough, strict=True) for _ in group]
        tests = [tuple(test.tolist()) for group in enough for test in group]
        found = zip(
            value.tolist(),
            spread.tolist(),
            np.minimum(1.0, p_values / share).tolist(),
            shifts,
            strict=True,
        )
        return {test: _Tested(*figures) for test, figures in zip(tests, found, strict=True)}

    def _compare(
        self, name: str, cells: IntArray, tests: Mapping[tuple[int, ...], _Tested]
    ) -> Comparison:
        table = self.table.iloc[cells]
        size = table["size"].to_numpy(dtype=float)
        observed, usual = (
            float(np.average(table[column], weights=size)) for column in ("effect", "usual")
        )
        found = tests.get(tuple(cells.tolist()))
        if found is None:
            nan = float("nan")
            return Comparison(
                name,
                int(size.sum()),
                usual,
                observed,
                observed - usual,
                nan,
                nan,
                nan,
                "too few to tell",
            )
        reach = float(ndtri(1 - self.level / 2)) * found.spread
        ends = found.difference - reach, found.difference + reach
        verdict: Verdict = "changed" if found.p_value <= self.level else "as expected"
        expected = observed - found.difference
        return Comparison(
            name,
            int(size.sum()),
            expected,
            observed,
            found.difference,
            *ends,
            found.p_value,
            verdict,
        )


def _positions(names: pd.Series) -> list[IntArray]:
    """The rows of each name, in the order of the names."""
    codes, unique = pd.factorize(names, sort=True)
    return [np.flatnonzero(codes == code) for code in range(len(unique))]


class _Tested(NamedTuple):
    """What a test found."""

    difference: float
    spread: float
    """Standard deviation of the difference when nothing has changed."""
    p_value: float
    shift: float
    """The shift in common that was taken off the difference."""


def _weights(tests: Sequence[IntArray], size: FloatArray) -> FloatArray:
    """(num_tests, num_cells): the mean of a test's outcomes from the means of its cells."""
    weights = np.zeros((len(tests), len(size)))
    for row, cells in zip(weights, tests, strict=True):
        row[cells] = size[cells] / size[cells].sum()
    return weights


def _sampling(
    query: pd.Series, cell: pd.Series, residual: pd.Series, scatter: FloatArray, size: FloatArray
) -> FloatArray:
    """Covariance of mean residuals of cells that queries and answers drawn anew would bring.

    (num_cells, num_cells).

    Models that ran the same query err together on it: their residuals correlate. One correlation is
    estimated for all.

    Args:
        query: Query of each outcome.
        cell: Position of the cell of each outcome.
        residual: Observed less expected effect of each outcome.
        scatter: (num_cells,) sum of squares of the residuals of a cell.
        size: (num_cells,) outcomes of a cell.
    """
    codes, queries = pd.factorize(query)
    place = cell.to_numpy()
    runs = csr_array((np.ones(len(codes)), (place, codes)), shape=(len(size), len(queries)))
    shared = (runs @ runs.T).toarray()
    mean = np.bincount(place, residual, len(size)) / size
    deviation = np.sqrt(np.maximum(scatter, 1e-12) / size)
    score = (residual.to_numpy() - mean[place]) / deviation[place]
    total, squares, count = (
        np.bincount(codes, each) for each in (score, score**2, np.ones_like(score))
    )
    pairs = float((count * (count - 1)).sum())
    correlation = min(0.95, max(0.0, float((total**2 - squares).sum()) / pairs)) if pairs else 0.0
    covariance: FloatArray = correlation * shared * np.outer(deviation / size, deviation / size)
    np.fill_diagonal(covariance, scatter / size**2)
    return covariance
