"""Sessions: requests that go on from each other, and whether they stay on their model."""
