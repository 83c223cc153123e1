"""The forms of requests that the gateway reads, one module each."""

__all__: list[str] = []
