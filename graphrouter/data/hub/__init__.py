"""Downloads the public datasets that `graphrouter.data.formats` reads, from a hub with the layout of Hugging Face's."""

from graphrouter.data.hub.fetch import FetchResult, fetch_dataset
from graphrouter.data.hub.sources import PUBLIC, PublicDataset

__all__ = ["PUBLIC", "FetchResult", "PublicDataset", "fetch_dataset"]
