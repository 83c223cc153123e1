"""Equations of a large pool, by its outcomes: no table of queries by models, no cube of models."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from graphrouter.exceptions import TrainingError
from graphrouter.nn.layers import factorise

_NUM_DIRECTIONS = 16
"""Of the preconditioner: the pool's common level, and what groups of models were asked together."""
_MOST_STEPS = 200
_TOLERANCE = 1e-10
"""Of the residual of each right-hand side, beside its length."""
_LEAST = 1e-12


class PairTable(NamedTuple):
    """A table (S, M) of S queries by M models that holds numbers where a pair was observed."""

    by_query: Tensor
    """(S, M) sparse."""
    by_model: Tensor
    """(M, S) sparse, the same transposed."""

    @classmethod
    def of(cls, query: Tensor, model: Tensor, values: Tensor, shape: tuple[int, int]) -> Self:
        """The table with values (E,) at queries (E,) and models (E,)."""

        def collect(first: Tensor, second: Tensor, size: tuple[int, int]) -> Tensor:
            index = torch.stack([first, second])
            return torch.sparse_coo_tensor(index, values, size, check_invariants=True)

        return cls(collect(query, model, shape), collect(model, query, shape[::-1]))

    def times(self, columns: Tensor) -> Tensor:
        """The table times columns (M, n): (S, n)."""
        product: Tensor = torch.sparse.mm(self.by_query, columns)
        return product

    def transposed_times(self, columns: Tensor) -> Tensor:
        """The transposed table times columns (S, n): (M, n)."""
        product: Tensor = torch.sparse.mm(self.by_model, columns)
        return product


class AbilityEquations(NamedTuple):
    """Normal equations of the abilities alone: diag(diagonal) - table' diag(shared) table.

    The second part is what the easiness of queries, which was integrated out, has models share. It
    is positive definite, since less is shared than is known.
    """

    table: PairTable
    """Fisher information of each pair."""
    diagonal: Tensor
    """(M,) information and prior precision of each model."""
    shared: Tensor
    """(S,) variance of the easiness of each query, its prior included."""

    def solve(self, right: Tensor) -> Tensor:
        """The solutions (M, n) for right-hand sides (M, n).

        By conjugate gradients, preconditioned with a Nystroem approximation of what is shared
        (Frangella, Tropp and Udell 2021): a few products with the table, whatever the pool.

        Raises:
            TrainingError: They do not converge, as where numbers are not finite.
        """
        precondition = self._make_preconditioner()
        size = right.norm(dim=0)
        # Columns of length 1, or 0: what is tiny is solved for as well as all others.
        found, left = torch.zeros_like(right), right / torch.where(size > 0, size, 1.0)
        ahead = precondition(left)
        direction, product = ahead, (left * ahead).sum(0)
        for _ in range(_MOST_STEPS):
            if bool((left.norm(dim=0) <= _TOLERANCE).all()):
                return torch.as_tensor(found * size)
            image = self._apply(direction)
            step = product / (direction * image).sum(0).clamp_min(_LEAST**2)
            found, left = found + step * direction, left - step * image
            ahead = precondition(left)
            before, product = product, (left * ahead).sum(0)
            direction = ahead + product / before.clamp_min(_LEAST**2) * direction
        raise TrainingError(
            "The network cannot compute the abilities of a large pool: its equations for "
            f"{len(right)} models did not converge in {_MOST_STEPS} steps."
        )

    def _apply(self, columns: Tensor) -> Tensor:
        return self.diagonal.unsqueeze(1) * columns - self._share(columns)

    def _share(self, columns: Tensor) -> Tensor:
        return self.table.transposed_times(self.shared.unsqueeze(1) * self.table.times(columns))

    def _make_preconditioner(self) -> _Preconditioner:
        count = min(_NUM_DIRECTIONS, len(self.diagonal))
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(len(self.diagonal), count, generator=generator, dtype=torch.float64)
        drawn[:, 0] = 1.0
        basis = torch.linalg.qr(self._share(drawn.to(self.diagonal.device))).Q
        image = self._share(basis)
        inner = basis.mT @ image
        inner = (inner + inner.mT) / 2
        # From below, so that what is left of the diagonal stays positive definite.
        inner.diagonal().add_(_LEAST + 1e-10 * inner.diagonal().max())
        what = "what models of a large pool share"
        factor = torch.linalg.solve_triangular(factorise(inner, what), image.mT, upper=False)
        scaled = factor.mT / self.diagonal.unsqueeze(1)
        kernel = torch.eye(count, dtype=factor.dtype, device=factor.device) - factor @ scaled
        return _Preconditioner(self.diagonal, scaled, factorise((kernel + kernel.mT) / 2, what))


class _Preconditioner(NamedTuple):
    """The inverse of diag(diagonal) - U U', by Woodbury."""

    diagonal: Tensor
    scaled: Tensor
    """(M, I) U over the diagonal."""
    factor: Tensor
    """(I, I) of 1 - U' U over the diagonal."""

    def __call__(self, columns: Tensor) -> Tensor:
        inner = torch.cholesky_solve(self.scaled.mT @ columns, self.factor)
        return columns / self.diagonal.unsqueeze(1) + self.scaled @ inner
