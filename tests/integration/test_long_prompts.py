"""Flat tables of dollars and of tokens, and prompts of lengths that they hardly hold."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.types import FloatArray

LONGEST = 660
MODELS = {"nano": (0.1, 0.4, 100), "mid": (1.0, 4.0, 300), "reasoner": (2.0, 8.0, 2000)}
"""What a token of prompt and answer costs, in dollars per million, and tokens of an answer."""
SENTENCES = """the a of house river explain sum every number green write short list city Paris 7 12
why how sort code price train between window before mountain letter, question. answer? music"""
WORDS = SENTENCES.split()


def write(rng: random.Random, length: int) -> str:
    return " ".join(rng.choices(WORDS, k=length))[:length].strip() + "."


def bill(prompt: str, model: str, answer: float | None = None) -> float:
    """Four characters a token."""
    into, out, tokens = MODELS[model]
    return (len(prompt) / 4 * into + (tokens if answer is None else answer) * out) / 1e6


def make_log(lengths: list[int], *, noise: float = 0.0) -> pd.DataFrame:
    rng, draws = random.Random(0), np.random.default_rng(0)
    rows = []
    for prompt in [write(rng, length) for length in lengths]:
        for model, (_, _, tokens) in MODELS.items():
            answer = tokens * float(np.exp(noise * draws.standard_normal()))
            cost = bill(prompt, model, answer)
            rows.append((prompt, model, float(draws.random() < 0.6), cost, round(answer)))
    return pd.DataFrame(rows, columns=["prompt", "model", "effect", "cost", "tokens"])


def draw_lengths(num: int, *, share_long: float = 0.0, seed: int = 5) -> list[int]:
    rng = random.Random(seed)
    return [
        rng.randint(2200, 5000) if rng.random() < share_long else rng.randint(20, LONGEST)
        for _ in range(num)
    ]


def compare(router: gr.GraphRouter, length: int) -> FloatArray:
    """Predicted over true cost of prompts of one length, by model."""
    prompts = [write(random.Random(i), length) for i in range(4)]
    true = [[bill(prompt, model) for model in router.models] for prompt in prompts]
    return np.asarray(router.predict(prompts).cost_usd.sum(axis=0) / np.sum(true, axis=0))


@pytest.fixture(scope="module")
def dollars() -> gr.GraphRouter:
    """A router that has seen dollars alone."""
    log = make_log(draw_lengths(150)).drop(columns="tokens")
    free = log[log["model"] == "nano"].assign(model="free", cost=0.0)
    return gr.GraphRouter.fit(pd.concat([log, free], ignore_index=True), instant=True)


class TestDollarsAlone:
    @pytest.mark.parametrize("times", [1, 3, 10, 100])
    def test_a_long_prompt_costs_what_its_length_says(
        self, dollars: gr.GraphRouter, times: int
    ) -> None:
        prompts = [write(random.Random(i), LONGEST * times) for i in range(3)]
        found = dollars.predict(prompts)
        for column, model in enumerate(found.models):
            if model == "free":
                assert found.cost_usd[:, column].tolist() == [0, 0, 0]
                continue
            true = sum(bill(prompt, model) for prompt in prompts)
            assert found.cost_usd[:, column].sum() / true == pytest.approx(1, abs=0.15)

    def test_alone_in_a_batch_and_saved_it_is_the_same(
        self, dollars: gr.GraphRouter, tmp_path: Path
    ) -> None:
        prompts = [write(random.Random(i), 300 * 3**i) for i in range(6)]
        together = dollars.predict(prompts)
        for i, prompt in enumerate(prompts):
            alone = dollars.predict([prompt])
            np.testing.assert_array_equal(alone.cost_usd[0], together.cost_usd[i])
        dollars.save(tmp_path / "a")
        loaded = gr.load_router(tmp_path / "a")
        np.testing.assert_array_equal(loaded.predict(prompts).cost_usd, together.cost_usd)

    def test_a_newcomer_has_it_with_its_bills(self, dollars: gr.GraphRouter) -> None:
        theirs = make_log(draw_lengths(40, seed=6)).query("model == 'mid'")
        outcomes = theirs.drop(columns="tokens").rename(columns={"cost": "cost_usd"})
        outcomes = outcomes.assign(model="new", query_id=[f"n{i}" for i in range(len(outcomes))])
        outcomes["cost_usd"] *= 3
        router = dollars.add_model(gr.ModelCard(model="new"), outcomes=outcomes)
        prompt = write(random.Random(3), 20 * LONGEST)
        found = router.predict([prompt])
        cost = found.cost_usd[0, found.models.index("new")]
        assert cost / (3 * bill(prompt, "mid")) == pytest.approx(1, abs=0.2)

    @pytest.mark.parametrize("length", [300, 2200, 4900, 50_000])
    def test_a_few_long_prompts_among_short_ones(self, length: int) -> None:
        log = make_log(draw_lengths(300, share_long=0.05)).drop(columns="tokens")
        router = gr.GraphRouter.fit(log, instant=True)
        np.testing.assert_allclose(compare(router, length), 1, atol=0.2)


@pytest.mark.parametrize(
    ("num_prompts", "num_templates", "share_long"), [(400, 60, 0.05), (40, 0, 0.15), (200, 0, 0.15)]
)
def test_tokens_that_the_characters_explain_are_those(
    num_prompts: int, num_templates: int, share_long: float
) -> None:
    # Templates come again and again, and then nine of ten different prompts include long ones.
    rng = random.Random(1)
    templates = [write(rng, rng.randint(20, 400)) for _ in range(num_templates)]
    rows = []
    for _ in range(num_prompts):
        if rng.random() < share_long:
            prompt = write(rng, rng.randint(2200, 5000))
        else:
            prompt = rng.choice(templates) if templates else write(rng, rng.randint(20, 400))
        rows += [(prompt, model, rng.random(), len(prompt) / 4) for model in MODELS]
    log = pd.DataFrame(rows, columns=["prompt", "model", "effect", "input_tokens"])
    router = gr.GraphRouter.fit(log.drop_duplicates(["prompt", "model"]), instant=True)
    for length in (100, 600, 2200, 3000, 4900, 20_000):
        prompts = [write(random.Random(i), length) for i in range(5)]
        true = np.array([len(prompt) / 4 for prompt in prompts])
        found = router.predict(prompts).input_tokens / true[:, None]
        np.testing.assert_allclose(found, 1, atol=0.15)


def test_answers_that_were_counted_are_expected_beside_dollars() -> None:
    router = gr.GraphRouter.fit(make_log(draw_lengths(150), noise=0.2), instant=True)
    found = router.predict([write(random.Random(i), 200) for i in range(10)])
    for column, model in enumerate(found.models):
        tokens = found.output_tokens[:, column]
        assert tokens.mean() == pytest.approx(MODELS[model][2], rel=0.25)
    decision = router.route("Explain the river.")
    assert all(candidate.output_tokens for candidate in decision.candidates)


@pytest.mark.parametrize("factor", [1e-300, 1e-310, 1e-100])
@pytest.mark.parametrize("priced", [False, True])
def test_costs_of_next_to_nothing_are_costs(factor: float, priced: bool) -> None:
    log = make_log(draw_lengths(60)).drop(columns="tokens")
    log["input_tokens"], log["output_tokens"] = log["prompt"].str.len() / 4, 100.0
    queries = log[["prompt"]].drop_duplicates().assign(task=None).reset_index(drop=True)
    queries["query_id"] = [f"q{i}" for i in range(len(queries))]
    models = pd.DataFrame({"model": list(MODELS)})
    if priced:
        models["input_usd_per_mtok"], models["output_usd_per_mtok"] = 1.0, 4.0
    outcomes = log.merge(queries[["prompt", "query_id"]]).drop(columns="prompt")
    outcomes["cost_usd"] = outcomes.pop("cost") * factor
    data = gr.RoutingDataset.from_frames(queries=queries, models=models, outcomes=outcomes)
    found = gr.GraphRouter.fit(data, instant=True).predict(["Explain the river."]).cost_usd
    assert ((found > 0) & (found < factor)).all()
