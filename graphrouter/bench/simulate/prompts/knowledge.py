"""Templates of the tasks that rest on knowledge: general facts and professional cases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from graphrouter.bench.simulate.prompts.draft import (
    Draft,
    Facet,
    TaskSpec,
    draw_between,
    join_words,
    pick,
    pick_by_level,
    pick_some,
    scale,
)

# Subjects go from widely known to obscure.
_PLACES = (
    "Egypt", "Canada", "Brazil", "Kenya", "Portugal", "Vietnam", "Iceland", "Uruguay", "Estonia", "Namibia", "Bhutan", "Suriname",
    "Djibouti", "Kiribati", "Lesotho", "Tuva", "the Chatham Islands", "Nakhchivan", "Wallis and Futuna", "Gagauzia",
)  # fmt: skip
_ERAS = (
    "the Roman Empire", "the French Revolution", "the Silk Road", "the Hanseatic League", "the Meiji era", "the Ottoman tulip period",
    "the Songhai Empire", "the Taiping rebellion", "the Kalmar Union", "the Kingdom of Aksum", "the Khwarazmian dynasty",
    "the Chimu state", "the Golden Bull of 1356", "the Zhengde reign", "the Livonian Confederation",
)  # fmt: skip
_LIVING = (
    "honey bees", "oak trees", "salmon", "bats", "coral", "lichens", "axolotls", "mycorrhizal fungi", "cuttlefish", "tardigrades",
    "slime moulds", "hagfish", "siphonophores", "bdelloid rotifers", "placozoans", "Asgard archaea",
)  # fmt: skip
_PHYSICAL = (
    "rainbows", "magnets", "batteries", "tides", "superglue", "semiconductors", "glass transition", "the photoelectric effect",
    "cavitation", "spin glasses", "chirality transfer", "the Casimir effect", "anyons", "the Kibble-Zurek mechanism",
    "Hund's third rule", "Bethe-Salpeter kernels",
)  # fmt: skip
_ARTS = (
    "the violin", "watercolour", "film noir", "haiku", "flamenco", "Gothic arches", "woodcuts", "the bandoneon", "commedia dell'arte",
    "gamelan", "encaustic", "the Bauhaus stage", "ghazals", "the viola da gamba", "isorhythm", "raku firing", "kettle hats in heraldry",
)  # fmt: skip
_SIMPLE_ASKS = {
    "geography": (
        "What is the capital of {}?",
        "Which seas or countries border {}?",
        "Name a river of {}.",
        "What language is spoken in {}?",
    ),
    "history": (
        "When did {} begin?",
        "Who played a leading part in {}?",
        "Where did {} have its centre?",
        "What brought {} to an end?",
    ),
    "life_science": (
        "What do {} feed on?",
        "Where do {} live?",
        "How do {} reproduce?",
        "How old can {} become?",
    ),
    "physical_science": (
        "What causes {}?",
        "Who first described {}?",
        "Where does one meet {} in daily life?",
        "Explain {} in one sentence.",
    ),
    "arts": (
        "Where does the art of {} come from?",
        "Name a master of {}.",
        "What is typical of {}?",
        "When did {} become popular?",
    ),
}
_HARD_ASKS = (
    "Compare {} with {} in one respect that textbooks get wrong.", "Which two dates mark the change from {} to {}, and who disputes them?",
    "What did the study of {} owe to that of {} before 1900?", "Name the person who linked {} with {} and the year.",
    "Which figure is usually cited for {} and why does it not hold for {}?",
)  # fmt: skip
_SUBJECTS = {
    "geography": _PLACES,
    "history": _ERAS,
    "life_science": _LIVING,
    "physical_science": _PHYSICAL,
    "arts": _ARTS,
}
_FACT_CLOSES = (
    "", "", "", " One sentence, please.", " Answer with a name only.", " If unsure, say so.", " I need it for a quiz.",
    " My child asked me.", " Add a source.", " Just the short answer.", " For a crossword.",
)  # fmt: skip

_COMPLAINTS = (
    "a sore throat",
    "back pain",
    "a rash",
    "chest pain",
    "numb fingers",
    "double vision",
    "night sweats",
    "sudden hearing loss",
)
_HISTORY = (
    "asthma", "type 2 diabetes", "atrial fibrillation on apixaban", "a kidney transplant", "myasthenia gravis", "sarcoidosis",
    "hereditary angioedema", "porphyria cutanea tarda",
)  # fmt: skip
_DISPUTES = (
    "a late delivery", "a deposit that was not returned", "a noisy neighbour", "a dismissal without notice", "a copied logo",
    "a defect in title", "the piercing of a holding company's veil", "a disputed choice-of-law clause", "estoppel after a waiver",
)  # fmt: skip
_LEGAL_TWISTS = (
    "the contract was oral", "one side is a minor", "the notice came by email", "the limitation period may have run",
    "the parties sit in two countries", "a third party holds a lien", "the arbitration clause names a body that is no more",
    "an insolvency administrator has been appointed",
)  # fmt: skip
_INCOMES = (
    "wages",
    "a rented flat",
    "freelance work",
    "share options",
    "royalties from abroad",
    "a family trust",
    "carried interest",
)
_TAX_TWISTS = (
    "moved abroad in mid-year", "shares custody of two children", "sold a house at a loss", "works from home three days a week",
    "holds a foreign pension", "received a gift of securities with an unknown basis", "opted into group taxation",
    "falls under an anti-hybrid rule",
)  # fmt: skip
_PARTS = (
    "a wooden shelf",
    "a steel beam",
    "a pump shaft",
    "a pressure vessel",
    "a crane hook",
    "a composite wing spar",
    "a cryogenic manifold",
)
_LOADS = (
    "a static load", "daily temperature swings", "salt spray", "cyclic bending", "hydrogen at high pressure", "a seismic spectrum",
    "creep above half the melting point", "flutter near the second mode",
)  # fmt: skip
_CASE_ASKS = (
    "What should be done first?", "What is the likely outcome?", "List the options with their risks.", "Which rule applies, and why?",
    "What else must be known before one can decide?", "Write a short note for the file.",
)  # fmt: skip


def _facts(kind: str, rng: np.random.Generator, level: float) -> Draft:
    subjects = _SUBJECTS[kind]
    close = pick(rng, _FACT_CLOSES)
    first, second = pick_by_level(rng, subjects, level), pick(rng, subjects)
    if rng.random() < 0.15 + 0.7 * level**2 and first != second:
        return Draft(pick(rng, _HARD_ASKS).format(first, second) + close, 90)
    asks = pick_some(rng, _SIMPLE_ASKS[kind], 1 if rng.random() > level else 2)
    return Draft(" ".join(ask.format(first) for ask in asks) + close, 20 + 25 * len(asks))


def _case(
    rng: np.random.Generator, level: float, opening: str, twists: Sequence[str], *, joint: str
) -> Draft:
    """A case: the opening, twists that get rarer with the level, and a question or two."""
    chosen = {pick_by_level(rng, twists, level): None for _ in range(scale(level, 0, 4))}
    detail = f" {joint}{join_words(list(chosen))}." if chosen else ""
    asks = pick_some(rng, _CASE_ASKS, 1 + (rng.random() < level))
    return Draft(f"{opening}{detail} {' '.join(asks)}", 120 + 60 * len(chosen) + 60 * len(asks))


def _medicine(rng: np.random.Generator, level: float) -> Draft:
    person = pick(
        rng, ("A woman", "A man", "A teenager", "A patient", "A nurse", "A farmer", "A cyclist")
    )
    drug = pick(
        rng,
        (
            "no medicines",
            "ibuprofen now and then",
            "a beta blocker",
            "methotrexate",
            "lithium",
            "an SSRI and tramadol",
        ),
    )
    complaint = pick_by_level(rng, _COMPLAINTS, level)
    opening = f"{person} of {draw_between(rng, 17, 88)} has had {complaint} for {draw_between(rng, 2, 20)} days and takes {drug}."
    return _case(rng, level, opening, _HISTORY, joint="The history includes ")


def _law(rng: np.random.Generator, level: float) -> Draft:
    side = pick(
        rng,
        (
            "a tenant",
            "a small firm",
            "a buyer",
            "an employee",
            "a supplier",
            "a landlord",
            "a franchisee",
        ),
    )
    sum_at_stake = 100 * draw_between(rng, 3, 900)
    opening = f"My client, {side}, is in dispute about {pick_by_level(rng, _DISPUTES, level)}; {sum_at_stake} euros are at stake."
    return _case(rng, level, opening, _LEGAL_TWISTS, joint="Note that ")


def _taxes(rng: np.random.Generator, level: float) -> Draft:
    sources = list(
        dict.fromkeys(pick_by_level(rng, _INCOMES, level) for _ in range(scale(level, 1, 3)))
    )
    person = pick(
        rng,
        (
            "A teacher",
            "A carpenter",
            "A designer",
            "A retired pilot",
            "A couple",
            "A start-up founder",
        ),
    )
    opening = f"{person} had an income of {1000 * draw_between(rng, 14, 380)} euros from {join_words(sources)} and asks about the tax return."
    return _case(rng, level, opening, _TAX_TWISTS, joint="The taxpayer ")


def _engineering(rng: np.random.Generator, level: float) -> Draft:
    part = pick_by_level(rng, _PARTS, level)
    opening = f"We design {part} for {draw_between(rng, 2, 400)} {pick(rng, ('kg', 'kN', 'bar'))} with a service life of {draw_between(rng, 2, 40)} years."
    return _case(rng, level, opening, _LOADS, joint="It must bear ")


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        "facts",
        "Short questions about geography, history, nature, physics and the arts, from common knowledge to the obscure.",
        (
            Facet("geography", "geography", partial(_facts, "geography")),
            Facet("history", "history", partial(_facts, "history")),
            Facet("life_science", "biology", partial(_facts, "life_science")),
            Facet("physical_science", "physics and chemistry", partial(_facts, "physical_science")),
            Facet("arts", "the arts", partial(_facts, "arts")),
        ),
        hardness=-0.3,
        spread=1.2,
    ),
    TaskSpec(
        "professional",
        "Cases from medicine, law, taxes and engineering that need expert judgement on several circumstances at once.",
        (
            Facet("medicine", "medical cases", _medicine),
            Facet("law", "legal questions", _law),
            Facet("taxes", "tax questions", _taxes),
            Facet("engineering", "engineering design", _engineering),
        ),
        hardness=0.3,
    ),
)
