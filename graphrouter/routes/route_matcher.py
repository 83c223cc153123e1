"""Which route a prompt is of, or none, and how surely: in closed form, without any training.

A route is a mean in the coordinates of `RouteSpace`, where prompts of one kind vary by about 1 -
RHO in every direction and means by RHO: prior of the mean N(0, RHO I), examples N(mean, (1 - RHO)
I), the description as half an example. The score of a prompt x is what its density under the
route, with the mean in doubt, is above that of any prompt (probabilistic linear discriminant
analysis: Ioffe 2006, "Probabilistic Linear Discriminant Analysis"),

    s_r(x) = log N(x; m_r, (v_r + 1 - RHO) I) - log N(x; 0, I),
    1 / v_r = 1 / RHO + n_r / (1 - RHO),   m_r = v_r / (1 - RHO) * (sum of the n_r).

Densities of many coordinates are far too sure, and differ by route: so a score is taken in
standard deviations from its mean over solved queries of any kind (Z-norm: Auckenthaler, Carey and
Lloyd-Thomas 2000, section 2.1), z_r(x). From it is taken by how much x is farther from m_r than
examples usually are, beyond one standard deviation, in such deviations, where there are examples
(n / (n + 3) of it for n in all, solved queries standing for the three): a text like nothing else
may well be nearer to one route than to the others. The probability of a route is a softmax over

    log((1 - none_share) / R) + w_r a z_r(x) + w_r^2 b,   and log(none_share) for none,

with R routes and w_r = (k_r + 1) / (k_r + 3) for k_r examples: a description alone says little.
a and b are those under which the examples are likeliest to be of their routes, each left out, and
of none where their own route is taken away, together with solved queries, which count a fifth of
that since some may be of a route (a and b with normal priors, by Newton's method).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from graphrouter.features.prompts import PromptReading
from graphrouter.routes.named_routes import Routes
from graphrouter.routes.route_calibration import USUAL, Evidence, find_probabilities, fit_line
from graphrouter.routes.route_space import RouteSpace
from graphrouter.types import FloatArray, IntArray

_RHO = 0.1
"""Share of the variance of prompts that lies between kinds of prompts."""
_DESCRIPTION = 0.5
"""Examples that a description counts for."""
_SOLVED_SHARE = 0.2
"""What solved queries count for among what is of none; some of them may be of a route."""
_PRIOR_EXAMPLES = 3.0
"""Examples that solved queries count for in how far prompts usually are from their route."""


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """The route of one prompt."""

    route: str | None
    """Its name; None where none of them is likelier than no route at all."""
    confidence: float
    """Probability of that, in [0, 1]."""
    probabilities: dict[str, float]
    """Of each route, in their order; what is left to 1 is that of none of them."""

    @property
    def none(self) -> float:
        """Probability that the prompt is of none of the routes."""
        return max(0.0, 1.0 - sum(self.probabilities.values()))


class _Means(NamedTuple):
    """Routes as the scores read them. R routes."""

    mass: FloatArray
    """(R,) examples, and half of one for a description."""
    total: FloatArray
    """(R, D) their sum."""

    def measure(self, points: FloatArray) -> FloatArray:
        """Distances of points (n, D) from each mean, in standard deviations: (n, R)."""
        variance = 1 / (1 / _RHO + self.mass / (1 - _RHO))
        mean = self.total * (variance / (1 - _RHO))[:, None]
        wide = variance + 1 - _RHO
        found = [np.sqrt(np.square(point - mean).sum(axis=1) / wide) for point in points]
        return np.array(found).reshape(len(points), len(mean))


class _Reach(NamedTuple):
    """How far prompts usually are from the mean of their own route."""

    mean: float
    deviation: float
    trust: float
    """Share of a penalty that counts, in [0, 1): 0 without any example."""

    @classmethod
    def of(cls, own: FloatArray, solved: FloatArray) -> Self:
        """The usual distances.

        Args:
            own: (n,) of examples from the mean of their route without them.
            solved: (m,) of solved queries from the mean of all; these count as three examples.
        """
        mean, variance = (solved.mean(), solved.var()) if len(solved) else (0.0, 0.0)
        total = len(own) + _PRIOR_EXAMPLES
        middle = (own.sum() + _PRIOR_EXAMPLES * mean) / total
        spread = (np.square(own - middle).sum() + _PRIOR_EXAMPLES * variance) / total
        return cls(float(middle), max(float(np.sqrt(spread)), 1e-6), len(own) / total)

    def penalise(self, distance: FloatArray) -> FloatArray:
        """What is taken off a standard score at a distance, any shape."""
        taken: FloatArray = self.trust * np.maximum((distance - self.mean) / self.deviation - 1, 0)
        return taken


class Scale(NamedTuple):
    """Where scores lie on solved queries of any kind."""

    mean: FloatArray
    """(R,)"""
    deviation: FloatArray
    """(R,) > 0."""

    @classmethod
    def of(cls, scores: FloatArray) -> Self:
        """The scale of scores (n, R)."""
        if not len(scores):
            return cls(np.zeros(scores.shape[1]), np.ones(scores.shape[1]))
        return cls(scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-6))

    def apply(self, scores: FloatArray) -> FloatArray:
        """Scores in standard deviations."""
        scaled: FloatArray = (scores - self.mean) / self.deviation
        return scaled


class _LeftOut(NamedTuple):
    """Examples under their own route without them. n examples."""

    distance: FloatArray
    """(n,) from its mean."""
    standard: FloatArray
    """(n,) z, without the penalty of distance."""


class RouteMatcher:
    """Finds the route of prompts, for one set of routes and one router.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.routes import Routes
        >>> router = gr.GraphRouter.fit(gr.simulate(num_queries=200, seed=0).data, instant=True)
        >>> talk = {"name": "talk", "description": "Small talk.", "policy": "cost_first"}
        >>> match = router.match_routes(["Hello, how are you?"], Routes([talk]))[0]
        >>> 0 <= match.confidence <= 1
        True
    """

    def __init__(self, routes: Routes, space: RouteSpace) -> None:
        """The routes as the text encoder of a router sees them.

        Args:
            routes: What to tell apart; tasks that they name are known to the space.
            space: Of the router.
        """
        self.routes = routes
        self.space = space
        self._examples, self._route_of = _place_examples(routes, space)
        self._means = _place_means(routes, space, self._examples, self._route_of)
        self._num_examples = np.bincount(self._route_of, minlength=len(routes)).astype(np.float64)
        solved = space.background
        self._scale = Scale.of(_score(solved, self._means.measure(solved)))
        self._left_out = self._measure_left_out()
        away = np.sqrt(np.square(solved).sum(axis=1))
        self._reach = _Reach.of(self._left_out.distance, away)
        self.slope, self.offset = self._calibrate()

    @property
    def num_own_examples(self) -> int:
        """Examples that the routes state themselves, those of tasks not counted."""
        return sum(len(route.examples) for route in self.routes)

    def match(self, prompts: Sequence[str], tasks: Sequence[str | None]) -> list[RouteMatch]:
        """The route of each prompt; one whose task is named is surely of the route of that task.

        Args:
            prompts: The texts.
            tasks: Task of each, None where unknown.
        """
        return self.match_reading(self.read(prompts), tasks)

    def read(self, prompts: Sequence[str]) -> PromptReading:
        """The prompts as the router reads them, who may use it too."""
        return PromptReading.of(prompts, self.space.encoder)

    def match_reading(
        self, reading: PromptReading, tasks: Sequence[str | None]
    ) -> list[RouteMatch]:
        """As `match`, of prompts that are read already."""
        probability = self._tell(
            self._standardise(self.space.place_reading(reading)),
            np.broadcast_to(_weigh(self._num_examples), (len(tasks), len(self.routes))),
        )
        by_task = {r.task: i for i, r in reversed(list(enumerate(self.routes))) if r.task}
        found = []
        for row, task in zip(probability, tasks, strict=True):
            if task in by_task:
                row = np.eye(len(row))[by_task[task]]
            found.append(self._read(row))
        return found

    def match_left_out(self) -> list[RouteMatch]:
        """The route of each example of the routes' own, route by route, itself left out."""
        standard, weight = self._score_left_out()
        rows = [
            i for i, (r, number) in enumerate(self._number_examples()) if number < self._own(int(r))
        ]
        return [self._read(row) for row in self._tell(standard[rows], weight[rows])]

    def _own(self, route: int) -> int:
        return len(self.routes.routes[route].examples)

    def _number_examples(self) -> list[tuple[int, int]]:
        """Route and number in the route of each example; its own come before those of its task."""
        seen: dict[int, int] = {}
        numbers = []
        for route in self._route_of.tolist():
            numbers.append((route, seen.get(route, 0)))
            seen[route] = seen.get(route, 0) + 1
        return numbers

    def _read(self, probability: FloatArray) -> RouteMatch:
        """The match that probabilities (R + 1,) make, none last."""
        best = int(probability[:-1].argmax())
        is_route = probability[best] > probability[-1]
        names = self.routes.names
        return RouteMatch(
            names[best] if is_route else None,
            float(probability[best] if is_route else probability[-1]),
            dict(zip(names, probability[:-1].tolist(), strict=True)),
        )

    def _tell(self, standard: FloatArray, weight: FloatArray) -> FloatArray:
        """Probabilities of routes and none, (n, R + 1)."""
        parameters = np.array([self.slope, self.offset])
        share = self.routes.none_share
        return find_probabilities(standard, weight, parameters, share)

    def _standardise(self, points: FloatArray) -> FloatArray:
        """Z of points (n, D), the penalty of distance taken off: (n, R)."""
        distance = self._means.measure(points)
        return self._scale.apply(_score(points, distance)) - self._reach.penalise(distance)

    def _measure_left_out(self) -> _LeftOut:
        """Each example as its own route sees it that does not know it."""
        solved, num = self.space.background, len(self._examples)
        distance, standard = np.zeros(num), np.zeros(num)
        for i, (point, route) in enumerate(zip(self._examples, self._route_of, strict=True)):
            only = slice(route, route + 1)
            without = _Means(self._means.mass[only] - 1, self._means.total[only] - point)
            scale = Scale.of(_score(solved, without.measure(solved)))
            away = without.measure(point[None])
            distance[i] = away[0, 0]
            standard[i] = scale.apply(_score(point[None], away))[0, 0]
        return _LeftOut(distance, standard)

    def _score_left_out(self) -> tuple[FloatArray, FloatArray]:
        """Z and w of each example, (n, R) each, its own route without it."""
        own = (np.arange(len(self._examples)), self._route_of)
        standard = self._standardise(self._examples)
        weight = np.tile(_weigh(self._num_examples), (len(standard), 1))
        left = self._left_out
        standard[own] = left.standard - self._reach.penalise(left.distance)
        weight[own] = _weigh(self._num_examples[self._route_of] - 1)
        return standard, weight

    def _calibrate(self) -> tuple[float, float]:
        """A and b."""
        num, num_routes = len(self._examples), len(self.routes)
        if not num:
            return float(USUAL[0]), float(USUAL[1])
        standard, weight = self._score_left_out()
        parts = [Evidence(standard, weight, self._route_of, np.ones(num))]
        solved_mass = 1.0
        if num_routes > 1:  # without its own route an example is of none
            other = standard.copy()
            other[np.arange(num), self._route_of] = -np.inf
            none = np.full(num, num_routes)
            parts.append(Evidence(other, weight, none, np.full(num, 1 - _SOLVED_SHARE)))
            solved_mass = _SOLVED_SHARE
        solved = self._standardise(self.space.background)
        number = max(len(solved), 1)
        mass = np.full(len(solved), solved_mass * num / number)
        solved_weight = np.tile(_weigh(self._num_examples), (len(solved), 1))
        parts.append(Evidence(solved, solved_weight, np.full(len(solved), num_routes), mass))
        evidence = Evidence(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        slope, offset = fit_line(evidence)
        return float(slope), float(offset)


def _place_examples(routes: Routes, space: RouteSpace) -> tuple[FloatArray, IntArray]:
    """Points of all examples, (n, D), and their routes, (n,): first its own, then of its task."""
    points, route_of = [space.place([])], []
    for number, route in enumerate(routes):
        own = [space.place(route.examples)]
        if route.task is not None:
            own.append(space.place_task(route.task)[1])
        points += own
        route_of += [number] * sum(map(len, own))
    return np.concatenate(points), np.array(route_of, dtype=np.int64)


def _place_means(
    routes: Routes, space: RouteSpace, examples: FloatArray, route_of: IntArray
) -> _Means:
    count, total = [], []
    for number, route in enumerate(routes):
        words = space.place_descriptions([route.description] if route.description.strip() else [])
        if route.task is not None:
            words = np.concatenate([words, space.place_task(route.task)[0]])
        own = examples[route_of == number]
        count.append(_DESCRIPTION * len(words) + len(own))
        total.append(_DESCRIPTION * words.sum(axis=0) + own.sum(axis=0))
    return _Means(np.array(count), np.array(total))


def _score(points: FloatArray, distance: FloatArray) -> FloatArray:
    """s_r of points (n, D) at distances (n, R), up to a constant a route: (n, R)."""
    length = np.array([point @ point for point in points]).reshape(len(points), 1)
    scores: FloatArray = (length - np.square(distance)) / 2
    return scores


def _weigh(num_examples: FloatArray) -> FloatArray:
    """w: how far the score of a route with so many examples can be believed, in [1/3, 1)."""
    weight: FloatArray = (num_examples + 1) / (num_examples + 3)
    return weight
