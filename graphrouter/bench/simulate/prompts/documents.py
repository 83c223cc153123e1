"""Templates of the tasks that start from a document: summarising it and extracting data from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from graphrouter.bench.simulate.prompts.draft import (
    CITIES,
    FIRMS,
    MONTHS,
    NAMES,
    WEEKDAYS,
    Draft,
    Facet,
    TaskSpec,
    draw_between,
    join_bullets,
    join_words,
    pick,
    pick_by_level,
    pick_some,
    scale,
)

_SOURCES = {
    "meetings": (
        "{name} opened the meeting and asked for the figures of {month}.", "{other} reported that the move to {city} costs {n} percent more.",
        "It was agreed that {name} calls {firm} by {day}.", "Nobody could say who owns the old contract.",
        "{other} objected: the trial had only {n} participants.", "The vote on the new logo was put off again.",
        "{name} will write down the open risks, {other} the open costs.", "A longer discussion about the canteen led nowhere.",
        "Hiring stays frozen, except for the team in {city}.", "{firm} offers a discount of {n} percent if we sign before {day}.",
    ),
    "incidents": (
        "At {n} minutes past two the queue of the billing service began to grow.", "{name} restarted a worker, which made matters worse.",
        "The cause was a certificate that had expired in {month}.", "Customers of {firm} saw the prices of other customers.",
        "An alert had fired on {day}, but it went to a mailing list that nobody reads.", "{other} rolled the release back.",
        "About {n} percent of the calls failed for an hour.", "The backup in {city} took over later than planned.",
        "The runbook described a system that was switched off long ago.", "Two engineers changed the same setting by hand.",
    ),
    "research": (
        "We followed {n} households in {city} from {month} on.", "The effect of the intervention shrank once income was controlled for.",
        "Dropouts were more frequent among night workers.", "A placebo arm was not possible for ethical reasons.",
        "The confidence interval just includes zero.", "{name} and {other} coded the interviews independently.",
        "In a second analysis the sign of the interaction was reversed.", "{firm} provided the sensors but had no part in the analysis.",
        "Heteroscedastic residuals suggest a misspecified link.", "Results for the {n} oldest participants point the other way.",
    ),
    "news": (
        "The council of {city} has approved a new tram line.", "Residents complain of {n} years of building noise to come.",
        "{name}, who leads the opposition, calls the plan a gift to {firm}.", "The first section is to open in {month}.",
        "Shopkeepers fear for their trade, cyclists for their lane.", "A court had stopped an earlier plan.",
        "The price has risen by {n} percent since the first draft.", "On {day} several hundred people met in front of the town hall.",
        "{other} of the transport office speaks of a historic chance.", "Whether the state pays its share is not certain.",
    ),
    "reviews": (
        "The zip broke after {n} days, says {name}.", "{other} loves the colour but finds the manual useless.",
        "{firm} answered within an hour and sent a new part.", "Three buyers from {city} report the same loose screw.",
        "It is lighter than the old one, and louder.", "Somebody wrote a long text about the parcel service.",
        "{name} would buy it again, though not at this price.", "The app asks for a password on every start.",
        "Several praise the battery; one had to replace it in {month}.", "A buyer gives five stars and complains in every line.",
    ),
}  # fmt: skip
_SUMMARY_ASKS = (
    "Sum up in one sentence.", "Summarise this.", "Give the three main points.", "What was decided and what is open?",
    "Summarise for a reader with no background, in {n} words.", "Two sentences for the board, leaving out all names.",
    "Summarise twice: once for lawyers, once for children.", "Summarise in {n} words and say which claims contradict each other.",
    "List every figure, say how reliable it is, then sum up in exactly {n} words.",
)  # fmt: skip

_ITEMS = (
    "garden chairs",
    "toner",
    "steel bolts",
    "apple crates",
    "desk lamps",
    "safety gloves",
    "copper wire",
    "field notebooks",
)
_TRADES = (
    "electrician",
    "nurse",
    "data analyst",
    "pastry cook",
    "bus driver",
    "translator",
    "welder",
    "librarian",
)
_EVENTS = (
    "chess open",
    "book fair",
    "repair cafe",
    "half marathon",
    "choir concert",
    "robotics cup",
    "flea market",
    "film night",
)
_FIELDS = {
    "invoices": (
        "number",
        "seller",
        "buyer",
        "items",
        "net",
        "tax",
        "total",
        "due_date",
        "iban",
        "discount_terms",
    ),
    "adverts": (
        "title",
        "employer",
        "city",
        "salary_min",
        "salary_max",
        "hours",
        "skills",
        "start",
        "contact",
        "benefits",
    ),
    "events": (
        "name",
        "date",
        "start",
        "end",
        "venue",
        "price",
        "organiser",
        "capacity",
        "age_limit",
        "registration_deadline",
    ),
    "logs": (
        "timestamp",
        "host",
        "level",
        "service",
        "code",
        "user",
        "duration_ms",
        "retry_of",
        "trace_id",
        "root_cause",
    ),
}
_JSON_RULES = (
    "Use null where nothing is said.", "Dates in ISO 8601.", "Amounts as numbers without currency.", "No text outside the JSON.",
    "Keep the order of the document.", "Nest repeated entries in a list.", "Resolve relative dates from the date of the text.",
    "Convert all amounts to cents and check that they add up.", "Add a confidence from 0 to 1 a field.",
    "Merge duplicates and list the conflicts under a separate key.",
)  # fmt: skip


def _summary(kind: str, rng: np.random.Generator, level: float) -> Draft:
    name, other = pick_some(rng, NAMES, 2)
    sentences = pick_some(rng, _SOURCES[kind], scale(level, 3, 10))
    firm, city, month, day = (
        pick(rng, FIRMS),
        pick(rng, CITIES),
        pick(rng, MONTHS),
        pick(rng, WEEKDAYS),
    )
    filled = [
        s.format(
            name=name,
            other=other,
            firm=firm,
            city=city,
            month=month,
            day=day,
            n=draw_between(rng, 4, 70),
        )
        for s in sentences
    ]
    words = 5 * draw_between(rng, 4, 20)
    ask = pick_by_level(rng, _SUMMARY_ASKS, level).format(n=words)
    text = " ".join(filled)
    prompt = f"{ask}\n\n{text}" if rng.random() < 0.5 else f"{text}\n\n{ask}"
    return Draft(prompt, words * 1.4 if "words" in ask else 35 + 7 * len(sentences))


def _extraction(kind: str, rng: np.random.Generator, level: float) -> Draft:
    lines = pick_some(rng, _documents(kind, rng), scale(level, 2, 6))
    text = " ".join(lines) if rng.random() < 0.6 else "\n".join(lines)
    fields = pick_some(rng, _FIELDS[kind], scale(level, 2, 9))
    rules = list({pick_by_level(rng, _JSON_RULES, level): None for _ in range(scale(level, 0, 5))})
    ask = pick(
        rng,
        (
            f"Extract {join_words(fields)} as JSON.",
            f"Return JSON with the keys {join_words(fields)}.",
            f"Fill in: {join_words(fields)} (JSON).",
        ),
    )
    joined = f"\n{join_bullets(rules)}" if len(rules) > 2 else f" {' '.join(rules)}".rstrip()
    return Draft(f"{ask}{joined}\n\n{text}", 15 + 14 * len(fields) + 8 * len(rules))


def _documents(kind: str, rng: np.random.Generator) -> Sequence[str]:
    """Sentences about one made-up invoice, advert, event or failure."""
    name, other = pick_some(rng, NAMES, 2)
    firm, second = pick_some(rng, FIRMS, 2)
    city, month, day = pick(rng, CITIES), pick(rng, MONTHS), draw_between(rng, 1, 28)
    if kind == "invoices":
        return (
            f"{firm}, {city}, invoice {draw_between(rng, 1000, 9999)}-{draw_between(rng, 10, 99)} of {day} {month}.",
            f"{draw_between(rng, 2, 60)} x {pick(rng, _ITEMS)} at {draw_between(rng, 2, 90)}.{draw_between(rng, 10, 99)} each.",
            f"{draw_between(rng, 1, 12)} boxes of {pick(rng, _ITEMS)}, {draw_between(rng, 30, 400)} in all, less {draw_between(rng, 2, 9)} percent.",
            f"Please pay within {draw_between(rng, 7, 60)} days; {draw_between(rng, 1, 3)} percent off within a week.",
            f"Billed to {second}, attention {name}, order placed by {other} by telephone.",
            f"VAT {draw_between(rng, 5, 25)} percent; the freight of {draw_between(rng, 9, 80)} is free of tax.",
        )
    if kind == "adverts":
        trade = pick(rng, _TRADES)
        return (
            f"{firm} in {city} is looking for a {trade}.",
            f"We pay {draw_between(rng, 24, 50)},000 to {draw_between(rng, 51, 90)},000 a year, by experience.",
            f"You start in {month} and work {draw_between(rng, 18, 40)} hours, {pick(rng, ('some at weekends', 'in shifts', 'mostly from home'))}.",
            f"{name} answers questions; applications go to {other}, not to the front desk.",
            f"We expect {draw_between(rng, 1, 8)} years as a {trade} or as {pick(rng, _TRADES)}, and a driving licence.",
            f"A season ticket, {draw_between(rng, 24, 35)} days of leave and a crib come with it.",
        )
    if kind == "events":
        return (
            f"The {pick(rng, _EVENTS)} of {city} returns on {pick(rng, WEEKDAYS)}, {day} {month}.",
            f"Doors open at {draw_between(rng, 8, 19)}:{draw_between(rng, 10, 59)}, an hour before the start.",
            f"Tickets cost {draw_between(rng, 3, 40)} euros, half of that for pupils, nothing for members of {firm}.",
            f"{name} and {other} run it for the {draw_between(rng, 2, 30)}th time.",
            f"There is room for {draw_between(rng, 30, 900)}; sign up until the {pick(rng, WEEKDAYS)} before.",
            f"If it rains, it moves from the park to the hall of {second}.",
        )
    host = f"{pick(rng, ('web', 'db', 'mail', 'edge'))}-{draw_between(rng, 1, 40)}"
    stamp = f"{draw_between(rng, 10, 23)}:{draw_between(rng, 10, 59)}:{draw_between(rng, 10, 59)}"
    return (
        f"{stamp} {host} ERROR checkout code={draw_between(rng, 400, 599)} user={name.lower()} took {draw_between(rng, 20, 9000)}ms",
        f"{stamp} {host} WARN retry {draw_between(rng, 2, 9)} of request {draw_between(rng, 10000, 99999)}",
        f"{day} {month} {host} kernel: out of memory, killed worker {draw_between(rng, 100, 9999)}",
        f"{stamp} proxy INFO upstream {host} marked down for {draw_between(rng, 5, 90)}s after timeout",
        f"{stamp} auth ERROR token of {other.lower()} expired, trace {draw_between(rng, 10**6, 10**7)}",
        f"{stamp} {host} INFO recovered, {draw_between(rng, 2, 300)} requests replayed for {firm}",
    )


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        "summarising",
        "Summarise minutes, incident reports, studies, news and reviews, for a given reader and length.",
        (
            Facet("meetings", "meeting minutes", partial(_summary, "meetings")),
            Facet("incidents", "incident reports", partial(_summary, "incidents")),
            Facet("research", "research reports", partial(_summary, "research")),
            Facet("news", "news", partial(_summary, "news")),
            Facet("reviews", "customer reviews", partial(_summary, "reviews")),
        ),
        hardness=-0.4,
    ),
    TaskSpec(
        "extraction",
        "Extract named fields from a document as JSON that follows the rules given.",
        (
            Facet("invoices", "invoices", partial(_extraction, "invoices")),
            Facet("adverts", "job adverts", partial(_extraction, "adverts")),
            Facet("events", "event notices", partial(_extraction, "events")),
            Facet("logs", "server logs", partial(_extraction, "logs")),
        ),
        hardness=-0.2,
    ),
)
