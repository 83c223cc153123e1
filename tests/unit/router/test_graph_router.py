"""The graph router as its users meet it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.artifact import FORMAT_VERSION, ArtifactContents, read_artifact, write_artifact
from graphrouter.encoders import HashingEncoder
from graphrouter.encoders.text_encoder import unit_rows
from graphrouter.exceptions import ArtifactError, DataError, EncoderError, PolicyError

PROMPTS = [
    "Translate 'good morning' into French.",
    "",
    "Write a function that sorts a list.",
    "What is 12 * 14?",
    "Long " * 400,
]


def _swap(data: gr.RoutingDataset, **tables: pd.DataFrame | None) -> gr.RoutingDataset:
    frames = {
        "queries": data.queries,
        "models": data.models,
        "outcomes": data.outcomes,
        "tasks": data.tasks,
        **tables,
    }
    return gr.RoutingDataset.from_frames(**frames)


class TestPredict:
    def test_alone_in_a_batch_and_in_any_order_the_scores_are_the_same(
        self, router: gr.GraphRouter
    ) -> None:
        tasks = ["translation", None, "no such task", None, None]
        together = router.predict(PROMPTS, tasks=tasks)
        order = [3, 0, 4, 2, 1]
        shuffled = router.predict([PROMPTS[i] for i in order], tasks=[tasks[i] for i in order])
        for name in (
            "effect",
            "effect_low",
            "effect_high",
            "cost_usd",
            "output_tokens",
            "latency_s",
        ):
            whole = getattr(together, name)
            np.testing.assert_allclose(getattr(shuffled, name), whole[order], atol=1e-9, rtol=1e-9)
            for i in range(len(PROMPTS)):
                alone = getattr(router.predict([PROMPTS[i]], tasks=[tasks[i]]), name)
                np.testing.assert_allclose(alone[0], whole[i], atol=1e-9, rtol=1e-9)

    def test_batches_larger_than_a_chunk_agree_with_single_queries(
        self, router: gr.GraphRouter, data: gr.RoutingDataset
    ) -> None:
        prompts = data.queries["prompt"].tolist()
        whole = router.predict(prompts)
        assert whole.effect.shape == (160, 5)
        for i in (0, 63, 64, 159):
            np.testing.assert_allclose(
                router.predict([prompts[i]]).effect[0], whole.effect[i], atol=1e-9
            )

    @pytest.mark.parametrize("share", ["one", "all"])
    def test_missing_outcomes_of_neighbours_keep_batch_and_single_the_same(
        self, router: gr.GraphRouter, share: str
    ) -> None:
        neighbours = [evidence.query_id for evidence in router.route(PROMPTS[0]).evidence]
        gone = neighbours[:1] if share == "one" else neighbours
        outcomes = router.support.outcomes
        kept = outcomes[~outcomes["query_id"].isin(gone)].reset_index(drop=True)
        assert len(kept) < len(outcomes)
        thinned = gr.GraphRouter(
            router.learned,
            dataclasses.replace(router.support, outcome_table=kept),
            router.provenance,
            router.encoder,
        )
        batch = thinned.predict(PROMPTS)
        assert np.isfinite(batch.effect).all()
        np.testing.assert_allclose(
            thinned.predict(PROMPTS[:1]).effect[0], batch.effect[0], atol=1e-9
        )
        assert np.abs(batch.effect[0] - router.predict(PROMPTS[:1]).effect[0]).max() > 1e-6

    def test_ranges(self, router: gr.GraphRouter) -> None:
        predictions = router.predict(PROMPTS)
        assert ((predictions.effect > 0) & (predictions.effect < 1)).all()
        assert (predictions.cost_usd > 0).all()
        assert (predictions.latency_s > 0).all()

    def test_no_prompts_give_no_rows(self, router: gr.GraphRouter) -> None:
        assert router.predict([]).effect.shape == (0, 5)
        assert router.route_batch([]) == []

    def test_a_million_characters_cost_what_they_cost(self, router: gr.GraphRouter) -> None:
        short, long = router.predict(["Hello there."]), router.predict(["word " * 200_000])
        assert (long.input_tokens >= 125_000).all()
        assert (long.cost_usd > 100 * short.cost_usd).all()

    def test_a_single_string_is_refused(self, router: gr.GraphRouter) -> None:
        with pytest.raises(DataError, match=r"\[prompt\]"):
            router.predict("hello")
        with pytest.raises(DataError, match="2 entries for 1 prompt"):
            router.predict(["a"], tasks=["x", "y"])
        with pytest.raises(DataError, match=r"prompts\[1\] is a int"):
            router.predict(["a", 3])  # type: ignore[list-item]

    def test_many_threads_read_the_same_scores(self, router: gr.GraphRouter) -> None:
        expected = [router.predict([prompt]).effect for prompt in PROMPTS]
        with ThreadPoolExecutor(8) as executor:
            results = list(
                executor.map(lambda i: router.predict([PROMPTS[i % 5]]).effect, range(80))
            )
        for i, effect in enumerate(results):
            np.testing.assert_allclose(effect, expected[i % 5], atol=1e-12)

    def test_many_threads_are_decided_as_one_is(self, router: gr.GraphRouter) -> None:
        asked = [{"prompt": PROMPTS[i % 5], "task": (None, "math")[i % 2]} for i in range(60)]
        expected = [router.route(**each) for each in asked]
        with ThreadPoolExecutor(8) as executor:
            found = list(executor.map(lambda each: router.route(**each), asked))
        for one, other in zip(found, expected, strict=True):
            assert one.model == other.model
            assert [each.query_id for each in one.evidence] == [
                each.query_id for each in other.evidence
            ]
            assert one.effect == pytest.approx(other.effect, abs=1e-12)
            assert one.familiarity == other.familiarity


class TestOwnEncoder:
    def test_a_router_with_an_encoder_of_ones_own_is_saved_and_loaded_with_it(
        self, data: gr.RoutingDataset, quick_config: gr.TrainConfig, tmp_path: Path
    ) -> None:
        class Lengths:
            id, revision, dimension = "mine/lengths", "1", 3

            def encode(self, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
                rows = [[len(text), text.count(" "), 1.0] for text in texts]
                return unit_rows(np.array(rows).reshape(-1, 3))

        router = gr.GraphRouter.fit(data, quick_config, encoder=Lengths())
        router.save(tmp_path / "a")
        with pytest.raises(EncoderError, match=r"'mine/lengths' .*load_router\(FOLDER, encoder="):
            gr.load_router(tmp_path / "a")
        with pytest.raises(EncoderError, match="expected 'mine/lengths'"):
            gr.load_router(tmp_path / "a", encoder=HashingEncoder(8))
        loaded = gr.load_router(tmp_path / "a", encoder=Lengths())
        np.testing.assert_array_equal(
            loaded.predict(PROMPTS).effect, router.predict(PROMPTS).effect
        )
        with pytest.raises(EncoderError, match="is a str without id"):
            gr.GraphRouter.fit(data, quick_config, encoder="wordllama")  # type: ignore[arg-type]


STRANGE = {
    "Chinese": "请用简单的语言解释量子力学中的不确定性原理并举一个例子说明。",
    "Arabic": "ما هي عاصمة فرنسا؟ اشرح باختصار كيف نشأت المدينة.",
    "Russian": "Сколько будет семнадцать плюс двадцать пять? Объясни решение.",
    "noise": "".join(chr(33 + (7 * i * i + 31 * i) % 94) for i in range(400)),
    "bytes": bytes(range(1, 256)).decode("latin-1") * 2,
}
"""Prompts like none of the English ones that the simulation writes."""


def familiarity_of(router: gr.GraphRouter, prompts: list[str]) -> list[float]:
    found = router.predict(prompts).familiarity
    assert found is not None
    return [float(value) for value in found]


class TestFamiliarity:
    @pytest.mark.parametrize("kind", sorted(STRANGE))
    def test_a_prompt_like_none_seen_is_not_familiar(
        self, router: gr.GraphRouter, kind: str
    ) -> None:
        assert familiarity_of(router, [STRANGE[kind]])[0] < 0.02
        assert router.route(STRANGE[kind]).familiarity == familiarity_of(router, [STRANGE[kind]])[0]

    def test_solved_prompts_are_familiar_and_more_of_their_kind_are_as_usual(
        self, router: gr.GraphRouter, data: gr.RoutingDataset
    ) -> None:
        solved = familiarity_of(router, router.support.queries["prompt"].tolist())
        assert np.mean(solved) > 0.7
        split = router.provenance.split
        unseen = data.queries.set_index("query_id")["prompt"]
        new = familiarity_of(router, unseen.loc[[*split.validation, *split.test]].tolist())
        assert 0.35 < np.mean(new) < 0.65
        assert 0.1 < np.mean(np.array(new) < 0.3) < 0.5

    def test_outcomes_on_strange_prompts_make_them_familiar(self, router: gr.GraphRouter) -> None:
        prompts = [f"{STRANGE['Chinese']} ({i})" for i in range(12)]
        rows = pd.DataFrame({"model": router.models[0], "prompt": prompts[:-1], "effect": 1.0})
        met = router.add_outcomes(rows)
        assert familiarity_of(router, prompts[-1:])[0] < 0.02
        assert familiarity_of(met, prompts[-1:])[0] > 0.2
        # Only what was answered counts.
        again = met.add_model(gr.ModelCard(model="late"))
        assert familiarity_of(again, prompts[-1:]) == familiarity_of(met, prompts[-1:])

    def test_it_does_not_depend_on_the_queries_beside_it(self, router: gr.GraphRouter) -> None:
        prompts = [*PROMPTS, *STRANGE.values()]
        together = familiarity_of(router, prompts)
        assert [familiarity_of(router, [prompt])[0] for prompt in prompts] == together


class TestIntervals:
    def test_the_expected_effect_lies_in_its_interval(self, router: gr.GraphRouter) -> None:
        found = router.predict(PROMPTS)
        low, high = ends_of(found)
        assert ((low >= 0) & (low <= found.effect) & (found.effect <= high) & (high <= 1)).all()
        assert ends_of(router.predict([]))[0].shape == (0, 5)

    @pytest.mark.parametrize("kind", sorted(STRANGE))
    def test_a_strange_prompt_is_in_doubt(
        self, router: gr.GraphRouter, data: gr.RoutingDataset, kind: str
    ) -> None:
        usual = data.queries.set_index("query_id").loc[list(router.provenance.split.test)]
        for tasks, known in ((None, None), (usual["task"].tolist(), [usual["task"].iloc[0]])):
            low, high = ends_of(router.predict(usual["prompt"].tolist(), tasks=tasks))
            strange = ends_of(router.predict([STRANGE[kind]], tasks=known))
            assert (strange[1] - strange[0]).mean() > 1.2 * (high - low).mean()

    def test_familiar_prompts_are_expected_what_they_were(self, router: gr.GraphRouter) -> None:
        before = dataclasses.replace(
            router.learned, interval=dataclasses.replace(router.learned.interval, novelty=0.0)
        )
        old = gr.GraphRouter(before, router.support, router.provenance, router.encoder)
        prompts = router.support.queries["prompt"].tolist()
        met, as_before = router.predict(prompts), old.predict(prompts)
        np.testing.assert_array_equal(met.effect, as_before.effect)
        strange = list(STRANGE.values())
        assert not np.array_equal(router.predict(strange).effect, old.predict(strange).effect)
        np.testing.assert_array_equal(  # a task that is named is believed
            router.predict(strange, tasks=[router.known_tasks[0]] * len(strange)).cost_usd,
            old.predict(strange, tasks=[router.known_tasks[0]] * len(strange)).cost_usd,
        )

    def test_a_newcomer_is_in_doubt_and_outcomes_take_the_doubt_away(
        self, others: gr.GraphRouter, card: gr.ModelCard, theirs: pd.DataFrame
    ) -> None:
        doubts = []
        for num in (0, 5, 20, len(theirs)):
            met = others.add_model(card, outcomes=theirs.head(num) if num else None)
            low, high = ends_of(met.predict(PROMPTS))
            doubts.append(float((high - low)[:, -1].mean()))
        assert doubts == sorted(doubts, reverse=True)
        assert doubts[0] > 1.3 * doubts[-1]
        low, high = ends_of(others.add_model(card).predict(PROMPTS))
        assert ((high - low)[:, -1] > (high - low)[:, :-1].max(axis=1)).all(), (
            "nobody is known as little as the newcomer"
        )

    def test_optimism_sends_more_traffic_to_a_newcomer_than_caution(
        self, others: gr.GraphRouter, card: gr.ModelCard, data: gr.RoutingDataset
    ) -> None:
        met = others.add_model(card)
        prompts = data.queries["prompt"].tolist()
        traffic = [
            [
                d.model
                for d in met.route_batch(prompts, policy=gr.Policy(cost_weight=0.0, risk=risk))
            ].count(card.model)
            for risk in ("lower", "expected", "upper")
        ]
        assert traffic[0] <= traffic[1] <= traffic[2]
        assert traffic[0] < 0.1 * len(prompts) < traffic[2]

    def test_a_blank_newcomer_is_passed_over_for_the_safe_model(
        self, others: gr.GraphRouter, data: gr.RoutingDataset
    ) -> None:
        met = others.add_model(gr.ModelCard(model="blank"))
        safe = others.models[0]
        # With their tasks: where a task has to be guessed, that alone is a doubt about every model.
        prompts, tasks = data.queries["prompt"].tolist(), data.queries["task"].tolist()
        low, high = ends_of(met.predict(prompts, tasks=tasks))
        width = high - low
        assert (width.argmax(axis=1) == met.models.index("blank")).all()  # the least known
        limit = float(width[:, :-1].max())  # nobody else is too doubtful
        eager = gr.Policy(cost_weight=0.0, risk="upper", safe_model=safe, max_doubt=limit)
        decisions = met.route_batch(prompts, tasks=tasks, policy=eager)
        wanted = [met.models.index(decision.candidates[0].model) for decision in decisions]
        too_doubtful = [bool(width[row, model] > limit) for row, model in enumerate(wanted)]
        blank = [
            doubtful
            for doubtful, model in zip(too_doubtful, wanted, strict=True)
            if met.models[model] == "blank"
        ]
        # On most prompts it is too doubtful; those that it leads are easy, and intervals narrow.
        assert (width[:, -1] > limit).mean() > 0.5
        assert sum(blank) == sum(too_doubtful) > 0.25 * len(blank)
        # Where the safe model is the first candidate itself, nothing is taken in its place.
        replaced = [
            doubtful and met.models[model] != safe
            for doubtful, model in zip(too_doubtful, wanted, strict=True)
        ]
        assert [decision.used_safe_model for decision in decisions] == replaced
        assert all(
            decision.model == safe
            for decision, doubtful in zip(decisions, too_doubtful, strict=True)
            if doubtful
        )


def ends_of(found: gr.Predictions) -> tuple[np.ndarray, np.ndarray]:
    assert found.effect_low is not None
    assert found.effect_high is not None
    return found.effect_low, found.effect_high


@pytest.fixture(scope="module")
def card(data: gr.RoutingDataset) -> gr.ModelCard:
    """The model with the highest mean effect, which `others` has never met."""
    return data.pool[str(data.outcomes.groupby("model")["effect"].mean().idxmax())]


@pytest.fixture(scope="module")
def others(
    data: gr.RoutingDataset, quick_config: gr.TrainConfig, card: gr.ModelCard
) -> gr.GraphRouter:
    return gr.GraphRouter.fit(
        data.select_models([name for name in data.pool.names if name != card.model]), quick_config
    )


@pytest.fixture(scope="module")
def theirs(data: gr.RoutingDataset, others: gr.GraphRouter, card: gr.ModelCard) -> pd.DataFrame:
    is_known = data.outcomes["query_id"].isin(others.support.queries["query_id"])
    return data.outcomes[is_known & (data.outcomes["model"] == card.model)].reset_index(drop=True)


class TestRoute:
    def test_the_decision_carries_candidates_and_evidence(self, router: gr.GraphRouter) -> None:
        decision = router.route(PROMPTS[0], policy=gr.Policy.preset("performance_first"))
        assert sorted(c.model for c in decision.candidates) == sorted(router.models)
        utilities = [c.utility for c in decision.candidates if c.utility is not None]
        assert utilities == sorted(utilities, reverse=True)
        assert decision.effect == max(c.effect for c in decision.candidates)
        assert 0 < len(decision.evidence) <= 5
        solved = decision.evidence[0]
        rows = router.support.outcomes[router.support.outcomes["query_id"] == solved.query_id]
        assert dict(zip(rows["model"], rows["effect"], strict=True)) == dict(solved.effects)
        assert [e.similarity for e in decision.evidence] == sorted(
            (e.similarity for e in decision.evidence), reverse=True
        )

    def test_evidence_comes_from_training_queries_alone(
        self, router: gr.GraphRouter, data: gr.RoutingDataset
    ) -> None:
        test_prompts = (
            data.select_queries(list(router.provenance.split.test)).queries["prompt"].tolist()
        )
        shown = {
            e.query_id for decision in router.route_batch(test_prompts) for e in decision.evidence
        }
        assert shown <= set(router.provenance.split.train)

    def test_nobody_satisfies_the_policy(self, router: gr.GraphRouter) -> None:
        impossible = gr.Policy(min_effect=1.0)
        with pytest.raises(PolicyError, match="effect .* below 1"):
            router.route(PROMPTS[0], policy=impossible)
        decision = router.route(
            PROMPTS[0], policy=gr.Policy(min_effect=1.0, fallback=router.models[2])
        )
        assert decision.used_fallback
        assert decision.model == router.models[2]

    def test_without_any_cost_the_default_policy_weighs_effect_alone(
        self, data: gr.RoutingDataset, quick_config: gr.TrainConfig
    ) -> None:
        free = _swap(data, outcomes=data.outcomes[["query_id", "model", "effect"]])
        router = gr.GraphRouter.fit(free, quick_config)
        decision = router.route(PROMPTS[0])
        assert decision.policy["cost_weight"] == 0
        assert decision.cost_usd is None
        first = decision.model
        assert router.route(PROMPTS[0], policy=gr.Policy(excluded=(first,))).model != first
        with pytest.raises(PolicyError, match="performance_first"):
            router.route(PROMPTS[0], policy=gr.Policy(cost_weight=0.5, excluded=(first,)))
        with pytest.raises(PolicyError, match="performance_first"):
            router.route(PROMPTS[0], policy=gr.Policy.preset("balanced"))


class TestSaveAndLoad:
    def test_a_new_process_predicts_the_same_bits(
        self, router: gr.GraphRouter, tmp_path: Path
    ) -> None:
        router.save(tmp_path / "a")
        script = (
            "import json, sys, graphrouter as gr\n"
            "p = gr.load_router(sys.argv[1]).predict(json.loads(sys.argv[2]))\n"
            "print(json.dumps([p.effect.tolist(), p.cost_usd.tolist(), p.latency_s.tolist()]))"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "a"), json.dumps(PROMPTS)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        here = router.predict(PROMPTS)
        assert json.loads(output) == [
            here.effect.tolist(),
            here.cost_usd.tolist(),
            here.latency_s.tolist(),
        ]

    def test_what_was_saved_comes_back(self, router: gr.GraphRouter, tmp_path: Path) -> None:
        router.save(tmp_path / "a")
        loaded = gr.load_router(tmp_path / "a")
        assert loaded.provenance == router.provenance
        assert loaded.pool == router.pool
        assert loaded.learned.config == router.learned.config
        assert loaded.cost_scale == router.cost_scale
        assert loaded.learned.interval == router.learned.interval
        assert loaded.route(PROMPTS[0]) == router.route(PROMPTS[0])
        loaded.save(tmp_path / "b")
        names = [sorted(p.name for p in (tmp_path / folder).glob("*.*t*")) for folder in "ab"]
        assert names[0] == names[1], "the same contents have the same checksums"

    def test_the_manifest_says_where_the_router_comes_from(
        self, router: gr.GraphRouter, data: gr.RoutingDataset, tmp_path: Path
    ) -> None:
        router.save(tmp_path / "a")
        manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
        assert manifest["format_version"] == FORMAT_VERSION
        assert manifest["effect_interval"] == dataclasses.asdict(router.learned.interval)
        assert manifest["dataset"]["fingerprint"] == data.fingerprint
        assert manifest["encoder"] == {
            "id": router.encoder.id,
            "revision": router.encoder.revision,
            "dimension": 256,
        }
        assert manifest["metrics"]["log_loss"] == router.provenance.metrics["log_loss"]
        assert manifest["libraries"]["torch"]

    def test_another_encoder_is_refused(self, router: gr.GraphRouter, tmp_path: Path) -> None:
        router.save(tmp_path / "a")
        with pytest.raises(EncoderError, match="hashing"):
            gr.load_router(tmp_path / "a", encoder=HashingEncoder(256))

    def test_no_artifact(self, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match="graphrouter train"):
            gr.load_router(tmp_path / "nothing")


class TestFit:
    def test_a_path_is_no_dataset_and_a_name_no_policy(self, router: gr.GraphRouter) -> None:
        with pytest.raises(DataError, match="load_dataset"):
            gr.GraphRouter.fit("world")  # type: ignore[arg-type]
        with pytest.raises(PolicyError, match="preset"):
            router.route("x", policy="balanced")  # type: ignore[arg-type]

    def test_test_outcomes_change_nothing(
        self, router: gr.GraphRouter, data: gr.RoutingDataset, quick_config: gr.TrainConfig
    ) -> None:
        held_out = data.outcomes["query_id"].isin(router.provenance.split.test)
        flipped = data.outcomes.assign(
            effect=data.outcomes["effect"].where(~held_out, 1 - data.outcomes["effect"]),
            output_tokens=data.outcomes["output_tokens"].where(~held_out, 5000.0),
            cost_usd=data.outcomes["cost_usd"].where(~held_out, 99.0),
        )
        again = gr.GraphRouter.fit(_swap(data, outcomes=flipped), quick_config)
        np.testing.assert_array_equal(again.predict(PROMPTS).effect, router.predict(PROMPTS).effect)
        np.testing.assert_array_equal(
            again.predict(PROMPTS).cost_usd, router.predict(PROMPTS).cost_usd
        )
        assert again.cost_scale == router.cost_scale

    def test_models_held_out_are_not_in_the_pool(
        self, data: gr.RoutingDataset, quick_config: gr.TrainConfig
    ) -> None:
        config = quick_config.model_copy(
            update={"split": quick_config.split.model_copy(update={"by": "model", "test": 0.3})}
        )
        router = gr.GraphRouter.fit(data, config)
        held_out = router.provenance.split.held_out_models
        assert held_out
        assert not set(held_out) & set(router.models)


def _first_model(data: gr.RoutingDataset) -> str:
    return str(data.models["model"].iloc[0])


ODD: dict[str, Callable[[gr.RoutingDataset], gr.RoutingDataset]] = {
    "one task": lambda d: _swap(d, queries=d.queries.assign(task="all"), tasks=None),
    "no tasks table": lambda d: _swap(d, tasks=None),
    "some tasks unknown": lambda d: _swap(
        d, queries=d.queries.assign(task=d.queries["task"].where(d.queries.index % 2 == 0))
    ),
    "no descriptions": lambda d: _swap(d, models=d.models.drop(columns=["description"])),
    "no prices": lambda d: _swap(
        d, models=d.models.drop(columns=["input_usd_per_mtok", "output_usd_per_mtok"])
    ),
    "effects alone": lambda d: _swap(d, outcomes=d.outcomes[["query_id", "model", "effect"]]),
    "a model without outcomes": lambda d: _swap(
        d, outcomes=d.outcomes[d.outcomes["model"] != _first_model(d)]
    ),
    "two models": lambda d: d.select_models(d.models["model"].tolist()[:2]),
    "a query that one model alone answered": lambda d: _swap(
        d,
        outcomes=d.outcomes[
            (d.outcomes["query_id"] != d.queries["query_id"].iloc[0])
            | (d.outcomes["model"] == _first_model(d))
        ],
    ),
    "one outcome a query": lambda d: _swap(d, outcomes=d.outcomes.groupby("query_id").head(1)),
    "a model that always succeeds": lambda d: _swap(
        d,
        outcomes=d.outcomes.assign(
            effect=d.outcomes["effect"].mask(d.outcomes["model"] == _first_model(d), 1.0)
        ),
    ),
    "everything fails": lambda d: _swap(d, outcomes=d.outcomes.assign(effect=0.0)),
    "twelve queries": lambda d: d.select_queries(d.queries["query_id"].tolist()[:12]),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_trains_and_predicts(
    name: str, data: gr.RoutingDataset, quick_config: gr.TrainConfig, tmp_path: Path
) -> None:
    odd = ODD[name](data)
    router = gr.GraphRouter.fit(odd, quick_config)
    predictions = router.predict(PROMPTS)
    assert ((predictions.effect > 0) & (predictions.effect < 1)).all()
    router.save(tmp_path / "a")
    np.testing.assert_array_equal(
        gr.load_router(tmp_path / "a").predict(PROMPTS).effect, predictions.effect
    )
    assert router.route(PROMPTS[0]).model in router.models


def test_an_artifact_that_lacks_a_part_is_refused(router: gr.GraphRouter, tmp_path: Path) -> None:
    router.save(tmp_path / "a")
    contents = read_artifact(tmp_path / "a")
    tables = {name: table for name, table in contents.tables.items() if name != "seen_prompts"}
    kept = {
        name: value
        for name, value in contents.manifest.items()
        if name not in ("files", "checksum", "libraries")
    }
    write_artifact(tmp_path / "a", ArtifactContents(kept, contents.tensors, tables))
    with pytest.raises(ArtifactError, match="not of this release .*seen_prompts"):
        gr.load_router(tmp_path / "a")
