"""Tag routers against ridge solutions and tag means computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods import mix_llm
from graphrouter.bench.baselines.methods.mix_llm import MixLLM, TagSpace, solve_designs
from graphrouter.bench.baselines.methods.tags import Keywords, TagRouter
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.training.effect_scores import log_loss

ROUTERS: tuple[type[TextBaseline], ...] = (MixLLM, TagRouter)


def learning(
    rows: Sequence[tuple[str, str | None, dict[str, float]]], *, held: int = 0
) -> LearningData:
    """Rows of prompt, task and effects by model; the last `held` ones validate; `new` was never
    run."""
    queries = [(f"q{i}", task, prompt) for i, (prompt, task, _) in enumerate(rows)]
    outcomes = [
        (f"q{i}", model, effect)
        for i, (_, _, effects) in enumerate(rows)
        for model, effect in effects.items()
    ]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(queries, columns=["query_id", "task", "prompt"]),
        models=pd.DataFrame({"model": ["a", "b", "new"]}),
        outcomes=pd.DataFrame(outcomes, columns=["query_id", "model", "effect"]),
    )
    ids = [query for query, _, _ in queries]
    cut = len(ids) - held
    return LearningData.of(data, ids[:cut], encoder=HashingEncoder(64), validation_ids=ids[cut:])


@pytest.fixture(scope="module")
def specialists() -> LearningData:
    """Prompts about rivers, which `a` solves, and about loops, which `b` solves, with some words
    around."""
    rng = np.random.default_rng(0)
    fill = np.array(
        ["explain", "describe", "which", "longest", "short", "again", "please", "today"]
    )
    rows: list[tuple[str, str | None, dict[str, float]]] = []
    for i in range(120):
        river = i % 2 == 0
        words = [*rng.choice(fill, size=3, replace=False), "river" if river else "loop", str(i)]
        rows.append((" ".join(words), None, {"a": float(river), "b": float(not river)}))
    return learning(rows, held=30)


@pytest.mark.parametrize("kind", ROUTERS)
def test_each_subject_gets_its_specialist(
    kind: type[TextBaseline], specialists: LearningData
) -> None:
    router = kind.learn(specialists)
    effect = router.predict(["which river today", "describe loop again"]).effect
    assert effect[:, :2].argmax(axis=1).tolist() == [0, 1]
    assert (
        log_loss(router.predict_effect(specialists.questions), specialists.outcomes.effect) < 0.45
    )  # a coin has 0.69
    assert (
        abs(effect[0, 2] - specialists.means.effect[0, 2]) < 0.1
    )  # never run: about the pool's mean


def test_designs_are_ridge_regressions_by_model() -> None:
    rng = np.random.default_rng(0)
    features, deviation = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    deviation[10:, 0] = np.nan
    deviation[:, 2] = np.nan
    weights, inverses = solve_designs(features, deviation, 2.0)
    for model, rows in ((0, slice(0, 10)), (1, slice(0, 30))):
        design = features[rows].T @ features[rows] + 2.0 * np.eye(4)
        np.testing.assert_allclose(
            weights[:, model], np.linalg.solve(design, features[rows].T @ deviation[rows, model])
        )
        np.testing.assert_allclose(inverses[model], np.linalg.inv(design))
    assert not weights[:, 2].any()
    np.testing.assert_allclose(inverses[2], (inverses[0] + inverses[1]) / 2)


def test_the_bonus_is_larger_where_less_was_seen() -> None:
    rng = np.random.default_rng(0)
    features, deviation = rng.normal(size=(60, 4)), rng.normal(size=(60, 2))
    deviation[5:, 1] = np.nan
    _, inverses = solve_designs(features, deviation, 2.0)
    spread = np.einsum("qf,mfg,qg->qm", features, inverses, features)
    assert (spread[:, 1] > spread[:, 0]).all()


def test_the_upper_bound_by_hand(
    specialists: LearningData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mix_llm, "SETTINGS", ((30.0, 2.0),))
    router = MixLLM.learn(specialists)
    assert router.inverse is not None
    x = router.space.features(specialists.questions.vectors[3:4])[0]
    bounds = (
        router.model_effect
        + x @ router.weights
        + 2.0 * np.sqrt([x @ inverse @ x for inverse in router.inverse])
    )
    expected = router.curve.apply(bounds)
    np.testing.assert_allclose(
        router.predict([specialists.train.prompts[3]]).effect[0], expected.clip(1e-4, 1 - 1e-4)
    )
    assert (
        bounds[0] < bounds[2] < bounds[1]
    )  # never run: the pool's mean and the bonus of the others


def test_the_space_marks_one_tag_and_keeps_the_spread_of_each_direction(
    specialists: LearningData,
) -> None:
    space = TagSpace.fit(specialists)
    features = space.features(specialists.questions.vectors)
    rank = space.directions.shape[1]
    assert rank == 9  # a tenth of ninety training queries
    np.testing.assert_allclose(space.directions.T @ space.directions, np.eye(rank), atol=1e-9)
    assert (
        np.diff((features[:, 1 : 1 + rank] ** 2).sum(axis=0)) <= 1e-9
    ).all()  # what varies most comes first
    np.testing.assert_array_equal(features[:, 1 + rank :].sum(axis=1), 1.0)
    np.testing.assert_array_equal(
        space.enhanced(specialists.questions.vectors)[:, 64:], features[:, 1 + rank :]
    )


def test_keywords_are_neither_rare_nor_everywhere() -> None:
    prompts = [f"always {'river' if i < 6 else 'stone'} once{chr(97 + i)}" for i in range(30)]
    keywords = Keywords.fit(prompts)
    assert keywords.words == (
        "river",
    )  # "always" and "stone" stand in too many, the last words in one
    np.testing.assert_allclose(keywords.rarity, [np.log(30 / 6)])
    assert keywords.of(["River, river!", "stone", ""], 5) == [[0], [], []]


def test_keywords_are_ordered_by_tf_idf() -> None:
    keywords = Keywords(("bank", "loop", "river"), np.array([1.0, 2.0, 1.5]))
    assert keywords.of(["bank loop river river", "bank bank bank river"], 2) == [[2, 1], [0, 2]]


def test_tag_scores_are_means_over_the_prompts_tags() -> None:
    """Six prompts on rivers in task t, which `a` solves, and 34 on stones in task u, which it
    fails."""
    rows = [(f"the river {i}", "t", {"a": 1.0, "b": 0.5}) for i in range(6)]
    rows += [(f"the stone {i}", "u", {"a": 0.0, "b": 0.5}) for i in range(34)]
    data = learning(rows)
    router = TagRouter.learn(data)
    assert router.keywords.words == ("river",)
    mean = data.means.effect[0, 0]
    river, task_t, task_u = (6 + 5 * mean) / 11, (6 + 5 * mean) / 11, 5 * mean / 39
    np.testing.assert_allclose(router.scores[:, 0], [river, task_t, task_u])
    mixed = router.predict(["a river"], tasks=["u"]).effect[0, 0]
    assert mixed == pytest.approx(router.curve.apply(np.array([(river + task_u) / 2]))[0])


def test_a_known_task_is_a_tag_and_an_unknown_one_is_predicted() -> None:
    rows = [(f"river stream water {i}", "t", {"a": 1.0, "b": 0.0}) for i in range(20)]
    rows += [(f"loop array stack {i}", "u", {"a": 0.0, "b": 1.0}) for i in range(20)]
    router = TagRouter.learn(learning(rows))
    hidden, strange, known = (
        router.predict(["stack array"], tasks=[task]).effect[0] for task in (None, "opera", "t")
    )
    np.testing.assert_array_equal(hidden, strange)
    assert hidden[1] > hidden[0]
    assert known[0] > hidden[0]


@pytest.mark.parametrize("kind", ROUTERS)
@pytest.mark.parametrize("effects", [(1.0, 1.0, 1.0), (0.0, 0.5, 0.25)])
def test_three_rows_of_one_prompt(
    kind: type[TextBaseline], effects: tuple[float, float, float]
) -> None:
    router = kind.learn(learning([("same words", None, {"a": effect}) for effect in effects]))
    predictions = router.predict(["", "same words", "something else entirely"])
    assert ((predictions.effect > 0) & (predictions.effect < 1)).all()
    assert np.isnan(predictions.cost_usd).all()
