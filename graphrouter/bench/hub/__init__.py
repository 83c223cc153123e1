"""Downloads the public datasets that `graphrouter.bench.formats` reads.

From a hub with the layout of Hugging Face's.
"""

from graphrouter.bench.hub.fetch import FetchResult, fetch_dataset
from graphrouter.bench.hub.sources import PUBLIC, PublicDataset

__all__ = ["PUBLIC", "FetchResult", "PublicDataset", "fetch_dataset"]
