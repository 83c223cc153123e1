"""Hold a router of your own against what every router promises.

Example:
    >>> from graphrouter.bench.baselines import find_router
    >>> from graphrouter.testing import check_router
    >>> len(check_router(find_router("best_single"))) > 20
    True
"""

from graphrouter.testing.check_data import CheckData
from graphrouter.testing.conformance import check_router, conformance_checks
from graphrouter.testing.router_check import Check, CheckedRouter

__all__ = ["Check", "CheckData", "CheckedRouter", "check_router", "conformance_checks"]
