"""How well routes are told apart, by their own examples, each left out of its route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from graphrouter.decision import Decision
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.policy import Policy
from graphrouter.routes.named_routes import Routes
from graphrouter.routes.route_matcher import RouteMatcher
from graphrouter.wording import count_of, name_some

_FEW_EXAMPLES = 5
"""Below so many examples a person is told that a route is hardly known."""


@dataclass(frozen=True, slots=True)
class MissedExample:
    """An example that, left out, went elsewhere."""

    example: str
    route: str
    """Where it stands."""
    matched: str | None
    """Where it went; None = to none of the routes."""
    confidence: float
    """Of that, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class UnservedRoute:
    """A route whose own policy or models leave nobody for some of its examples."""

    route: str
    num_examples: int
    """Examples for which nobody is left, at least one."""
    reason: str
    """Why, for the first of them."""


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """What the examples of routes say of them."""

    confusion: dict[str, dict[str | None, int]]
    """Examples by the route they stand in and the one they went to; None = none."""
    missed: tuple[MissedExample, ...]
    """The surest first."""
    without_examples: tuple[str, ...]
    """Routes that nothing but words or a task describes: nothing was checked of them."""
    few_examples: tuple[str, ...]
    """Routes with fewer than five examples of their own."""
    unserved: tuple[UnservedRoute, ...] = ()
    """Routes that leave no model for some of their examples; none where no router was asked."""

    @property
    def num_examples(self) -> int:
        """Examples in all."""
        return sum(sum(row.values()) for row in self.confusion.values())

    @property
    def num_wrong(self) -> int:
        """Examples that went to another route."""
        return sum(each.matched is not None for each in self.missed)

    @property
    def num_none(self) -> int:
        """Examples that went to none of the routes."""
        return len(self.missed) - self.num_wrong

    def describe(self) -> str:
        """The outcome in a sentence or two."""
        if not self.num_examples:
            return "No route has examples, so nothing can be checked; three or more a route help."
        right = self.num_examples - len(self.missed)
        said = [
            f"{right:,} of {count_of(self.num_examples, 'example')} go to their route, "
            f"{self.num_wrong:,} to another, {self.num_none:,} to none."
        ]
        hardly = (*self.without_examples, *self.few_examples)
        if hardly:
            said.append(f"Fewer than {_FEW_EXAMPLES} examples: {name_some(hardly)}.")
        said += [
            f"The route {each.route!r} leaves no model for {each.num_examples:,} of its examples: "
            f"{each.reason}"
            for each in self.unserved
        ]
        return " ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, as `graphrouter routes check --json` prints them."""
        return {
            "num_examples": self.num_examples,
            "num_wrong": self.num_wrong,
            "num_none": self.num_none,
            "confusion": {
                name: {to or "": number for to, number in row.items()}
                for name, row in self.confusion.items()
            },
            "missed": [
                {
                    "example": each.example,
                    "route": each.route,
                    "matched": each.matched,
                    "confidence": each.confidence,
                }
                for each in self.missed
            ],
            "without_examples": list(self.without_examples),
            "few_examples": list(self.few_examples),
            "unserved": [
                {"route": each.route, "num_examples": each.num_examples, "reason": each.reason}
                for each in self.unserved
            ],
        }


class _Chooser(Protocol):
    """A router."""

    def route(self, prompt: str, *, policy: Policy | None = None) -> Decision:
        """Where to send one prompt."""
        ...


def check_routes(matcher: RouteMatcher, *, router: _Chooser | None = None) -> RouteCheck:
    """Where each example goes when its route does not know it.

    Args:
        matcher: From `GraphRouter.route_matcher`.
        router: Where given, each example is routed as its route says too, which shows limits that
            leave no model.

    Raises:
        DataError: `matcher` is none.
    """
    if not isinstance(matcher, RouteMatcher):
        raise DataError(
            f"matcher is a {type(matcher).__name__}; expected a RouteMatcher, such as "
            "router.route_matcher(routes)."
        )
    routes: Routes = matcher.routes
    stands = [(route.name, text) for route in routes for text in route.examples]
    confusion: dict[str, Counter[str | None]] = {route.name: Counter() for route in routes}
    missed = []
    for (name, text), match in zip(stands, matcher.match_left_out(), strict=True):
        confusion[name][match.route] += 1
        if match.route != name:
            missed.append(MissedExample(text, name, match.route, match.confidence))
    missed.sort(key=lambda each: -each.confidence)
    counts = {route.name: len(route.examples) for route in routes}
    return RouteCheck(
        {name: dict(row) for name, row in confusion.items()},
        tuple(missed),
        tuple(name for name, number in counts.items() if number == 0),
        tuple(name for name, number in counts.items() if 0 < number < _FEW_EXAMPLES),
        () if router is None else tuple(_find_unserved(routes, router)),
    )


def _find_unserved(routes: Routes, router: _Chooser) -> Iterator[UnservedRoute]:
    for route in routes:
        reasons = []
        for text in route.examples:
            try:
                router.route(text, policy=route.apply())
            except PolicyError as error:
                reasons.append(str(error))
        if reasons:
            yield UnservedRoute(route.name, len(reasons), reasons[0])
