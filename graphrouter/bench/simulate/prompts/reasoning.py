"""Templates of the tasks that are reasoned through: word problems and logic puzzles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from graphrouter.bench.simulate.prompts.draft import (
    CITIES,
    NAMES,
    WEEKDAYS,
    Draft,
    Facet,
    TaskSpec,
    capitalise,
    draw_between,
    join_words,
    pick,
    pick_some,
    scale,
)

_GOODS = (
    "notebooks", "lanterns", "bags of rice", "concert tickets", "paint brushes", "jars of honey", "bicycle tubes", "tulip bulbs",
    "printer cartridges", "wool scarves", "chess sets", "tins of tea",
)  # fmt: skip
_JOBS = (
    "paint the fence",
    "sort the archive",
    "fill the pool",
    "harvest the orchard",
    "assemble the shelves",
    "translate the manual",
)
_LIQUIDS = (
    "salt water",
    "orange juice",
    "vinegar",
    "antifreeze",
    "milk",
    "fertiliser",
    "paint thinner",
    "syrup",
)
_SHAPES = (
    "garden",
    "car park",
    "swimming pool",
    "sports hall",
    "courtyard",
    "vegetable bed",
    "ice rink",
    "gallery floor",
)
_PETS = ("cat", "parrot", "tortoise", "spaniel", "rabbit", "goldfish", "ferret", "canary")
_DRINKS = (
    "cocoa",
    "green tea",
    "cider",
    "espresso",
    "lemonade",
    "mineral water",
    "ginger beer",
    "oat milk",
)
_TRADES = ("baker", "surveyor", "violinist", "plumber", "botanist", "pilot", "tailor", "archivist")


def _shopping(rng: np.random.Generator, level: float) -> Draft:
    name, friend = pick_some(rng, NAMES, 2)
    goods = pick_some(rng, _GOODS, 4)
    steps = [
        f"{name} buys {draw_between(rng, 2, 9)} {goods[0]} at {draw_between(rng, 2, 19)} dollars each.",
        f"{capitalise(goods[1])} cost {draw_between(rng, 3, 30)}.{draw_between(rng, 10, 95)} dollars a piece, and {name} takes {draw_between(rng, 2, 12)}.",
        f"A loyalty card takes {draw_between(rng, 4, 35)} percent off the {pick(rng, goods[:2])}.",
        f"Sales tax of {draw_between(rng, 3, 21)}.{draw_between(rng, 1, 9)} percent is added to everything but the {goods[0]}.",
        f"{name} then returns {draw_between(rng, 1, 2)} of the {goods[0]} for a refund of two thirds of the price paid.",
        f"{friend} pays {draw_between(rng, 15, 45)} percent of the bill, and the shop rounds {friend}'s part up to a whole dollar.",
        f"For every third item the shop gives one of the {goods[2]} free, which {name} resells for {draw_between(rng, 2, 11)} dollars each.",
    ]
    ask = pick(
        rng,
        (
            f"How much has {name} spent in the end?",
            f"How many of {name}'s {draw_between(rng, 180, 900)} dollars are left?",
            "What is the final bill, to the cent?",
        ),
    )
    return _story(rng, [steps[0], *pick_some(rng, steps[1:], scale(level, 0, 6))], ask)


def _travel(rng: np.random.Generator, level: float) -> Draft:
    start, end = pick_some(rng, CITIES, 2)
    vehicle = pick(rng, ("train", "ferry", "coach", "cargo drone", "cyclist", "delivery van"))
    speed = draw_between(rng, 18, 120)
    steps = [
        f"A {vehicle} leaves {start} for {end}, {draw_between(rng, 60, 900)} km away, at {draw_between(rng, 5, 11)}:{draw_between(rng, 10, 59)} "
        f"and moves at {speed} km/h.",
        f"After {draw_between(rng, 20, 55)} km it stops for {draw_between(rng, 6, 50)} minutes.",
        f"On the middle third of the way its speed falls by {draw_between(rng, 10, 45)} percent.",
        f"A second {vehicle} sets out from {end} {draw_between(rng, 15, 90)} minutes later at {draw_between(rng, 20, 130)} km/h in the other "
        "direction.",
        f"A head wind slows only the first one, by {draw_between(rng, 2, 9)} km/h in every full hour after noon.",
        f"The clock in {end} is {draw_between(rng, 1, 3)} hours ahead of the one in {start}.",
        f"Whenever the two are less than {draw_between(rng, 5, 30)} km apart, both halve their speed.",
    ]
    chosen = [steps[0], *pick_some(rng, steps[1:], scale(level, 0, 6))]
    asks = ["At what time does it arrive?", "What is the average speed over the whole way?"]
    if steps[3] in chosen:
        asks = ["When and how far from the start do they meet?", "How far apart are they at 13:00?"]
    return _story(rng, chosen, pick(rng, asks))


def _work(rng: np.random.Generator, level: float) -> Draft:
    names = pick_some(rng, NAMES, 3)
    job = pick(rng, _JOBS)
    steps = [
        f"{names[0]} can {job} alone in {draw_between(rng, 3, 14)} hours.",
        f"{names[1]} needs {draw_between(rng, 15, 80)} percent more time for the same job.",
        f"They begin together, but {names[0]} leaves after {draw_between(rng, 1, 3)} hours and {draw_between(rng, 5, 50)} minutes.",
        f"{names[2]} undoes a {pick(rng, ('twelfth', 'tenth', 'ninth', 'eighth'))} of the finished part every hour by accident.",
        f"After each hour {names[1]} slows down by a {pick(rng, ('tenth', 'fifth', 'sixth'))}.",
        f"A hired machine works as fast as {names[0]} and {names[1]} together and costs {draw_between(rng, 12, 70)} dollars an hour, begun "
        "hours counting in full.",
    ]
    ask = pick(
        rng,
        (
            "How long does the job take?",
            "Which share of the job is done after two and a half hours?",
            "When are they done?",
        ),
    )
    return _story(rng, [steps[0], steps[1], *pick_some(rng, steps[2:], scale(level, 0, 4))], ask)


def _geometry(rng: np.random.Generator, level: float) -> Draft:
    shape = pick(rng, _SHAPES)
    width = draw_between(rng, 6, 40)
    steps = [
        f"A rectangular {shape} is {width} m wide and {width + draw_between(rng, 2, 30)} m long.",
        f"A path {draw_between(rng, 1, 3)}.{draw_between(rng, 1, 9)} m wide runs around it on the outside.",
        f"A semicircle with the short side as its diameter is added at {pick(rng, ('one end', 'both ends'))}.",
        f"From one corner a right triangle with legs of {draw_between(rng, 3, 5)} m and {draw_between(rng, 4, 6)} m is cut away.",
        f"It is covered with square tiles of {draw_between(rng, 20, 60)} cm, of which {draw_between(rng, 3, 12)} percent break.",
        f"The ground falls by {draw_between(rng, 2, 9)} degrees along the length, so that the true surface is larger than the plan.",
        f"A circular basin takes up a share of {draw_between(rng, 5, 20)} percent and touches two neighbouring sides.",
    ]
    ask = pick(
        rng,
        (
            "What is the area in square metres?",
            "How long is the outer edge?",
            "How many square metres remain to be covered?",
        ),
    )
    return _story(rng, [steps[0], *pick_some(rng, steps[1:], scale(level, 0, 5))], ask)


def _mixtures(rng: np.random.Generator, level: float) -> Draft:
    liquid = pick(rng, _LIQUIDS)
    steps = [
        f"A tank holds {draw_between(rng, 20, 400)} litres of {liquid} with a concentration of {draw_between(rng, 5, 60)} percent.",
        f"{draw_between(rng, 3, 19)} litres of a {draw_between(rng, 61, 96)} percent solution are poured in.",
        f"A {pick(rng, ('quarter', 'fifth', 'seventh'))} of the contents is drained and replaced by pure water.",
        f"That exchange is repeated {draw_between(rng, 2, 6)} times.",
        f"Every hour {draw_between(rng, 1, 4)} percent of the water, and nothing else, evaporates; {draw_between(rng, 3, 9)} hours go by.",
        f"A second tank, half as full and twice as strong, is emptied into the first until the level has risen by {draw_between(rng, 5, 30)} "
        "percent.",
    ]
    ask = pick(
        rng,
        (
            "What is the concentration at the end?",
            "How many litres of water must be added to halve the final strength?",
        ),
    )
    return _story(rng, [steps[0], *pick_some(rng, steps[1:], scale(level, 1, 5))], ask)


def _story(rng: np.random.Generator, steps: list[str], ask: str) -> Draft:
    close = pick(rng, ("", "", " Show the steps.", " Give only the number.", " Explain briefly."))
    terse = 0.45 if "only" in close else 1.0
    return Draft(f"{' '.join(steps)} {ask}{close}", (50 + 42 * len(steps)) * terse)


def _ordering(rng: np.random.Generator, level: float) -> Draft:
    people = pick_some(rng, NAMES, scale(level, 3, 8))
    hidden = pick_some(rng, people, len(people))
    what, more = pick(
        rng,
        (
            ("finished the race", "before"),
            ("are queuing at the bakery", "ahead of"),
            ("are ranked by height", "above"),
        ),
    )
    clues = []
    for first, second in pairwise(hidden):
        if rng.random() < 0.5 - 0.3 * level:
            clues.append(f"{first} is directly {more} {second}")
        else:
            clues.append(
                f"{first} is somewhere {more} {second}"
                if rng.random() < 0.6
                else f"{second} is not {more} {first}"
            )
    ask = pick(
        rng,
        (
            f"Who is in place {draw_between(rng, 1, len(people))}?",
            "Who comes last?",
            "Give the full order, or say that it is not fixed.",
        ),
    )
    return Draft(
        f"{join_words(people)} {what}. {'. '.join(pick_some(rng, clues, len(clues)))}. {ask}",
        60 + 35 * len(people),
    )


def _seating(rng: np.random.Generator, level: float) -> Draft:
    count = scale(level, 3, 7)
    people, trades = pick_some(rng, NAMES, count), pick_some(rng, _TRADES, count)
    pets, drinks = pick_some(rng, _PETS, count), pick_some(rng, _DRINKS, count)
    table = pick(rng, ("sit around a round table", "live in a row of houses", "share one bench"))
    clues = [f"{people[i]} is not the {trades[(i + 1) % count]}" for i in range(count)]
    clues += [
        f"the {trades[i]} is beside the owner of the {pets[(i + 2) % count]}" for i in range(count)
    ]
    clues += [
        f"whoever drinks {drinks[i]} is two places from {people[(i + 1) % count]}"
        for i in range(count)
    ]
    chosen = pick_some(rng, clues, scale(level, 3, 13))
    ask = pick(
        rng,
        (
            f"Who owns the {pets[0]}?",
            f"What does {people[0]} drink?",
            f"Which trade has {people[-1]}?",
        ),
    )
    return Draft(
        f"{capitalise(join_words(people))} {table}. We know that {'; '.join(chosen)}. {ask}",
        80 + 30 * len(chosen),
    )


def _liars(rng: np.random.Generator, level: float) -> Draft:
    people = pick_some(rng, NAMES, scale(level, 2, 6))
    place = pick(rng, ("On an island", "In a village", "At a masked ball", "In a strange office"))
    kinds = pick(
        rng,
        (
            "knights, who always tell the truth, and knaves, who always lie",
            "honest clerks and clerks who only lie",
        ),
    )
    lines = []
    for person in people:
        others = [name for name in people if name != person]
        other, third = pick(rng, others), pick(rng, others)
        forms = [
            f"{other} is a liar",
            f"{other} and I are of the same kind",
            "at least one of us lies",
        ]
        if level > 0.45:
            forms += [
                f"if {other} is honest, then so is {third}",
                f"exactly {draw_between(rng, 1, len(people))} of us tell the truth",
                f"{third} would say that {other} lies",
            ]
        lines.append(f'{person} says: "{capitalise(pick(rng, forms))}."')
    ask = pick(rng, ("Who is who?", "How many of them lie?", f"Can {people[0]} be trusted?"))
    return Draft(f"{place} there are {kinds}. {' '.join(lines)} {ask}", 70 + 55 * len(people))


def _sets(rng: np.random.Generator, level: float) -> Draft:
    nouns = pick_some(rng, _TRADES + _PETS, scale(level, 3, 8))
    quantifiers = ("All {}s are {}s", "Some {}s are {}s", "No {}s are {}s")
    harder = (
        "Not every {} is also a {}",
        "Only {}s can be {}s",
        "Unless it is raining, a {} is never a {}",
    )
    pool = quantifiers + (harder if level > 0.4 else ())
    premises = [pick(rng, pool).format(a, b) for a, b in pairwise(nouns)]
    conclusion = pick(rng, quantifiers).format(nouns[0], nouns[-1])
    ask = pick(rng, ("Does this follow", "Is this conclusion valid", "True, false or undecided"))
    return Draft(
        f"Suppose: {'. '.join(pick_some(rng, premises, len(premises)))}. {ask}: {conclusion[0].lower()}{conclusion[1:]}?",
        45 + 22 * len(nouns),
    )


def _schedules(rng: np.random.Generator, level: float) -> Draft:
    people = pick_some(rng, NAMES, scale(level, 2, 6))
    days = pick_some(rng, WEEKDAYS, scale(level, 3, 6))
    event = pick(
        rng,
        (
            "a dentist visit",
            "a rehearsal",
            "a site inspection",
            "a driving lesson",
            "a thesis talk",
        ),
    )
    rules = [f"{person} cannot come on {pick(rng, days)}" for person in people]
    rules += [f"{a} must come before {b}" for a, b in pairwise(people)]
    rules += [
        f"{days[0]} is free only if {people[0]} comes on {days[1]}",
        f"nobody comes the day after {people[-1]}",
    ]
    chosen = pick_some(rng, rules, scale(level, 2, 10))
    ask = pick(
        rng,
        (
            "Find a valid plan.",
            "How many valid plans are there?",
            f"On which day can {people[0]} come?",
        ),
    )
    return Draft(
        f"{join_words(people)} each need {event} on one of these days: {join_words(days)}. {capitalise('; '.join(chosen))}. {ask}",
        60 + 26 * len(chosen),
    )


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        "word_problems",
        "Arithmetic stories that take several steps of calculation; the answer is one number.",
        (
            Facet("shopping", "bills and discounts", _shopping),
            Facet("travel", "speed and distance", _travel),
            Facet("work", "rates of work", _work),
            Facet("geometry", "areas and lengths", _geometry),
            Facet("mixtures", "percentages and mixtures", _mixtures),
        ),
        hardness=0.2,
        spread=1.3,
    ),
    TaskSpec(
        "logic_puzzles",
        "Puzzles about orders, seats, liars, sets and timetables that are solved by combining clues.",
        (
            Facet("ordering", "orderings", _ordering),
            Facet("seating", "seating puzzles", _seating),
            Facet("liars", "truth-teller puzzles", _liars),
            Facet("sets", "syllogisms", _sets),
            Facet("schedules", "timetable puzzles", _schedules),
        ),
        hardness=0.5,
        spread=1.3,
    ),
)
