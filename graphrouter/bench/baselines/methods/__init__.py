"""One file for each family of published routers."""

__all__: list[str] = []
