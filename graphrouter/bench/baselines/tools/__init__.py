"""What several baselines share: means, clusters, amounts, rising curves, and places for models that
come later.
"""

__all__: list[str] = []
