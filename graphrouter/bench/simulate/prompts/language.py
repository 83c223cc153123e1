"""Templates of the tasks about wording: translation and creative or commercial writing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from graphrouter.bench.simulate.prompts.draft import (
    CITIES,
    FIRMS,
    NAMES,
    WEEKDAYS,
    Draft,
    Facet,
    TaskSpec,
    capitalise,
    draw_between,
    join_bullets,
    pick,
    pick_by_level,
    pick_some,
    scale,
)

# Sentences go from plain to hard to render: idioms, law, wordplay.
_SENTENCES = (
    "The shop opens at {hour} o'clock on {day}.", "{name} has lost a blue umbrella on the bus to {city}.",
    "Please send us the invoice before {day}.", "My sister and {name} are learning to swim.",
    "We would like a quiet room with a view of the harbour in {city}.", "Could you tell {name} that the meeting is an hour later?",
    "The delivery from {firm} was late, but nothing was broken.", "If it had not rained on {day}, we would have walked to {city}.",
    "Turn the valve a quarter to the left until the needle of the gauge stops trembling.",
    "{name} let the cat out of the bag, and now the whole office of {firm} is on edge.",
    "Without prejudice to the clause above, {firm} shall bear the cost of any belated acceptance.",
    "By the time {name} got the hang of it, the ship had sailed, so to speak.",
    "The bearing must be shimmed before the housing is torqued to {n} newton metres.",
    "It was one of those evenings in {city} when even the lamp posts seemed to lean in and eavesdrop.",
    "Notwithstanding the forfeiture, the lessee's right of redemption survives the insolvency of {firm}.",
    "{name} called the locksmith of {city} a key witness, and nobody laughed but the notary.",
)  # fmt: skip
_LANGUAGES = {
    "romance": ("Spanish", "French", "Italian", "Brazilian Portuguese", "Romanian", "Catalan"),
    "nordic": ("German", "Dutch", "Swedish", "Danish", "Norwegian", "Icelandic"),
    "slavic": ("Polish", "Czech", "Ukrainian", "Croatian", "Bulgarian", "Slovene"),
    "east_asian": (
        "Japanese",
        "Korean",
        "Simplified Chinese",
        "Traditional Chinese",
        "Vietnamese",
        "Thai",
    ),
    "low_resource": (
        "Swahili",
        "Yoruba",
        "Basque",
        "Welsh",
        "Quechua",
        "Faroese",
        "Amharic",
        "Khmer",
    ),
}
_TRANSLATION_RULES = (
    "Use the polite form.", "Keep the line breaks.", "Keep names as they are.", "Make it sound like a native speaker.",
    "Preserve the rhythm.", "Give a literal version as well.", "Use the terms of a contract lawyer.", "Find an equivalent for the idiom.",
    "Explain each pun in a note.", "Match the register of a nineteenth-century novel.",
)  # fmt: skip

_PRODUCTS = (
    "a folding kayak", "oat biscuits", "a solar lamp", "noise-proof curtains", "a plant sensor", "a city e-bike", "refillable ink",
    "a language camp", "a standing desk", "a beekeeping kit", "a rain barrel", "handmade soap",
)  # fmt: skip
_THEMES = (
    "the first frost", "a lost key", "night trains", "an old orchard", "moving house", "a quarrel between siblings", "the smell of rain",
    "a lighthouse without a keeper", "learning to whistle", "a borrowed coat", "the last ferry", "an empty theatre",
)  # fmt: skip
_OCCASIONS = (
    "a retirement", "a wedding", "the opening of a library", "a factory's fiftieth year", "a school prize day", "a charity run",
    "the launch of a ferry line", "a farewell to a coach",
)  # fmt: skip
_TONES = ("warm", "playful", "dry", "formal", "hopeful", "wistful", "bold", "plain")
_READERS = (
    "teenagers",
    "busy parents",
    "engineers",
    "new neighbours",
    "investors",
    "retired teachers",
    "first-time buyers",
    "hikers",
)
_WRITING_RULES = (
    "Start with a question.", "End on a call to action.", "Do not use adjectives.", "Mention the season twice.", "Avoid the letter z.",
    "Work in the word {word} three times.", "Use no sentence of more than nine words.", "Make the first letters of the lines spell {name}.",
    "Let every paragraph begin with the last word of the one before.", "Tell it backwards in time.",
    "Keep strict iambic pentameter.", "Hide the number {n} in each sentence without writing it.",
)  # fmt: skip
_WORDS = ("copper", "harvest", "lantern", "threshold", "compass", "feather", "salt", "echo")


def _fill(rng: np.random.Generator, sentence: str) -> str:
    return sentence.format(
        name=pick(rng, NAMES), city=pick(rng, CITIES), firm=pick(rng, FIRMS), day=pick(rng, WEEKDAYS), hour=draw_between(rng, 2, 12), n=draw_between(rng, 13, 60),
        word=pick(rng, _WORDS),
    )  # fmt: skip


def _translation(group: str, rng: np.random.Generator, level: float) -> Draft:
    language = pick(rng, _LANGUAGES[group])
    chosen = {
        pick_by_level(rng, _SENTENCES, level): None
        for _ in range(scale(level, 1, 5) + draw_between(rng, 0, 1))
    }
    text = " ".join(_fill(rng, sentence) for sentence in chosen)
    count = scale(level, 0, 3)
    rules = (
        [pick_by_level(rng, _TRANSLATION_RULES, level)]
        if count == 1
        else pick_some(rng, _TRANSLATION_RULES, count)
    )
    ask = pick(
        rng,
        (
            f"Translate into {language}:",
            f"How do you say this in {language}?",
            f"Please put this into {language}.",
            f"To {language}:",
        ),
    )
    quoted = f"{ask}\n\n{text}" if rng.random() < 0.5 else f"{ask} {text}"
    return Draft(
        f"{quoted}\n{' '.join(dict.fromkeys(rules))}".strip(),
        15 + len(text) / 3.2 + 25 * len(rules),
    )


def _add_rules(
    rng: np.random.Generator, level: float, opening: str, *, words: int, more: Sequence[str] = ()
) -> Draft:
    """A writing job: the opening, a length, and as many rules as the level asks for.

    The hard rules come late.
    """
    chosen = {pick_by_level(rng, _WRITING_RULES, level): None for _ in range(scale(level, 0, 6))}
    rules = [
        *(_fill(rng, rule) for rule in chosen),
        *pick_some(rng, more, draw_between(rng, 0, min(1, len(more)))),
    ]
    length = pick(
        rng, (f"About {words} words.", f"Keep it to {words} words.", f"{words} words at most.")
    )
    joined = (
        f"\n{join_bullets([length, *rules])}"
        if rng.random() < 0.35
        else f" {' '.join([length, *rules])}"
    )
    return Draft(f"{opening}{joined}", words * 1.4)


def _adverts(rng: np.random.Generator, level: float) -> Draft:
    product, firm, reader = pick(rng, _PRODUCTS), pick(rng, FIRMS), pick(rng, _READERS)
    form = pick(
        rng,
        (
            "a product description",
            "a slogan and a short text",
            "an advert",
            "a landing page",
            "a newsletter item",
        ),
    )
    opening = pick(
        rng,
        (
            f"Write {form} for {product} by {firm}, for {reader}.",
            f"{firm} sells {product}. Draft {form} that speaks to {reader}.",
        ),
    )
    return _add_rules(
        rng,
        level,
        opening,
        words=10 * draw_between(rng, 3, 18),
        more=(f"Tone: {pick(rng, _TONES)}.", "Mention the two-year warranty."),
    )


def _verse(rng: np.random.Generator, level: float) -> Draft:
    form = pick_by_level(
        rng,
        (
            "a short poem",
            "four rhyming lines",
            "a limerick",
            "a ballad",
            "a sonnet",
            "a villanelle",
            "a sestina",
        ),
        level,
    )
    opening = pick(
        rng,
        (
            f"Write {form} about {pick(rng, _THEMES)}.",
            f"{capitalise(form)} on {pick(rng, _THEMES)}, in a {pick(rng, _TONES)} voice.",
        ),
    )
    return _add_rules(rng, level, opening, words=10 * draw_between(rng, 3, 14))


def _stories(rng: np.random.Generator, level: float) -> Draft:
    name, other = pick_some(rng, NAMES, 2)
    opening = pick(
        rng,
        (
            f"Tell a story about {pick(rng, _THEMES)}, set in {pick(rng, CITIES)}.",
            f"Write a scene in which {name} and {other} talk about {pick(rng, _THEMES)}.",
            f"A short story, please: {name}, {pick(rng, CITIES)} and {pick(rng, _THEMES)}.",
        ),
    )
    return _add_rules(
        rng,
        level,
        opening,
        words=50 * draw_between(rng, 3, 14),
        more=("Write in the first person.", "Use two points of view."),
    )


def _letters(rng: np.random.Generator, level: float) -> Draft:
    firm, name = pick(rng, FIRMS), pick(rng, NAMES)
    cause = pick(
        rng,
        (
            "a late refund",
            "a broken promise",
            "a job offer",
            "a rise in rent",
            "a lost parcel",
            "a missed payment",
            "a data leak",
        ),
    )
    opening = pick(
        rng,
        (
            f"Draft an email from {name} to {firm} about {cause}.",
            f"{firm} must answer {name}, who complains about {cause}. Write the reply.",
            f"Help me write a {pick(rng, _TONES)} letter to {firm} regarding {cause}.",
        ),
    )
    return _add_rules(
        rng,
        level,
        opening,
        words=10 * draw_between(rng, 6, 25),
        more=("Admit no liability.", "Propose two dates for a call."),
    )


def _speeches(rng: np.random.Generator, level: float) -> Draft:
    opening = pick(
        rng,
        (
            f"Write a speech for {pick(rng, _OCCASIONS)} in {pick(rng, CITIES)}, given by {pick(rng, NAMES)}.",
            f"I have to say a few {pick(rng, _TONES)} words at {pick(rng, _OCCASIONS)}. Please write them.",
        ),
    )
    return _add_rules(
        rng,
        level,
        opening,
        words=25 * draw_between(rng, 5, 20),
        more=(f"The listeners are {pick(rng, _READERS)}.",),
    )


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        "translation",
        "Translate sentences from English into another language, from hotel bookings to contracts and wordplay.",
        (
            Facet("romance", "Romance languages", partial(_translation, "romance")),
            Facet("nordic", "Germanic and Nordic languages", partial(_translation, "nordic")),
            Facet("slavic", "Slavic languages", partial(_translation, "slavic")),
            Facet("east_asian", "East Asian languages", partial(_translation, "east_asian")),
            Facet("low_resource", "rare languages", partial(_translation, "low_resource")),
        ),
        hardness=-0.2,
    ),
    TaskSpec(
        "writing",
        "Write adverts, verse, stories, letters and speeches that keep to the rules of form given.",
        (
            Facet("adverts", "advertising", _adverts),
            Facet("verse", "verse", _verse),
            Facet("stories", "stories", _stories),
            Facet("letters", "business letters", _letters),
            Facet("speeches", "speeches", _speeches),
        ),
        hardness=-0.3,
    ),
)
