"""How a store of one version becomes one of the next; Alembic runs them."""

__all__: list[str] = []
