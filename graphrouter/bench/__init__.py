"""The bench: all that graphrouter is compared and measured with. The product imports none of it."""

__all__: list[str] = []
