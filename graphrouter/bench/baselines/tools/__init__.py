"""What several baselines share.

Means, clusters, amounts, rising curves, and places for models that come later.
"""

from graphrouter.bench.baselines.tools.clusters import (
    average_by_group,
    find_centres,
    find_nearest_centre,
)

__all__ = ["average_by_group", "find_centres", "find_nearest_centre"]
