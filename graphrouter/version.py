"""Which release this is: what the installed package says, which its build took from the tags."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("graphrouter")
except PackageNotFoundError:  # a copy of the sources on the path, never installed
    __version__ = "0+uninstalled"
