"""What several baselines share.

Means, clusters, amounts, rising curves, and places for models that come later.
"""

from graphrouter.bench.baselines.tools.clusters import find_centres, group_means, nearest_centre

__all__ = ["find_centres", "group_means", "nearest_centre"]
