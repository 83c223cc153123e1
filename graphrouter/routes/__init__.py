"""Named routes: kinds of prompts in words and examples, each with a policy or models of its own.

`Routes` reads and writes them, `RouteMatcher` finds the route of a prompt, `check_routes` says how
well the examples are told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.routes.named_routes import Route, Routes
    from graphrouter.routes.route_check import RouteCheck, check_routes
    from graphrouter.routes.route_matcher import RouteMatch, RouteMatcher
    from graphrouter.routes.route_space import RouteSpace

__all__ = [
    "Route",
    "RouteCheck",
    "RouteMatch",
    "RouteMatcher",
    "RouteSpace",
    "Routes",
    "check_routes",
]

_MODULE_OF = {
    "Route": "graphrouter.routes.named_routes",
    "RouteCheck": "graphrouter.routes.route_check",
    "RouteMatch": "graphrouter.routes.route_matcher",
    "RouteMatcher": "graphrouter.routes.route_matcher",
    "RouteSpace": "graphrouter.routes.route_space",
    "Routes": "graphrouter.routes.named_routes",
    "check_routes": "graphrouter.routes.route_check",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
