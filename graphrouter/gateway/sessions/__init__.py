"""Sessions: requests that go on from each other, and whether they stay on their model."""

__all__: list[str] = []
