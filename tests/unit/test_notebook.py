"""What people see of a value in a console and in a notebook: a line, and a table."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.notebook import MAX_ROWS, cut_text, render_table
from graphrouter.types import Predictions, Queries

LONG = "word " * 10_000


class Balanced(HTMLParser):
    """Reads HTML, and fails where a tag is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.num_rows = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.num_rows += tag == "tr"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Balanced:
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    return parser


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=80, num_models=3).data


@pytest.fixture(scope="module")
def router(data: gr.RoutingDataset) -> gr.GraphRouter:
    few = ["training.max_epochs=1", "training.steps_per_epoch=1", "encoder.name=hashing"]
    return gr.GraphRouter.fit(data, gr.load_config(overrides=few))


def test_every_text_is_escaped_and_cut() -> None:
    table = render_table("<b>", ["a&b"], [("<script>",), (LONG,), (None,), (float("nan"),)])
    assert "<script>" not in table
    assert "&lt;script&gt;" in table
    assert len(table) < 600
    assert table.count("<td>-</td>") == 2
    assert read(table).num_rows == 5


def test_a_long_table_says_how_many_rows_it_hides() -> None:
    table = render_table("t", ["n"], [(i,) for i in range(MAX_ROWS + 7)])
    assert "and 7 more" in table
    assert read(table).num_rows == MAX_ROWS + 2


def test_a_text_is_cut_to_its_width() -> None:
    assert len(cut_text(LONG, 30)) <= 30
    assert cut_text("a\tb\nc") == "a b c"


def test_a_router_counts_its_outcomes(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    outcomes = router.support.outcomes
    assert repr(router) == (
        f"GraphRouter(3 models, {len(outcomes):,} outcomes on "
        f"{outcomes['query_id'].nunique():,} queries of 'simulated')"
    )
    assert read(router._repr_html_()).num_rows == 4


def test_a_baseline_prints_no_arrays(data: gr.RoutingDataset) -> None:
    few = gr.load_config(overrides=["encoder.name=hashing"])
    for name in ("best_single", "knn", "rasch"):
        shown = repr(BASELINES[name].fit(data, few))
        assert shown.endswith("(3 models)")


def test_queries_predictions_and_outcomes_are_a_line(router: gr.GraphRouter) -> None:
    assert repr(Queries.of(["a", "b", LONG])) == "Queries(3 queries: 'a', 'b', ...)"
    predictions = router.predict([LONG] * 30)
    assert repr(predictions).startswith("Predictions(30 x 3 models: effect, cost_usd, ")
    assert read(predictions._repr_html_()).num_rows == 4
    nothing = ObservedOutcomes.none(("a",))
    assert repr(nothing) == "ObservedOutcomes(0 x 1 model: nothing known)"
    some = Predictions.from_arrays(("a", "b"), np.array([[0.25, np.nan]]))
    assert "<td>a</td><td>0.25</td>" in some._repr_html_()


def test_a_dataset_a_split_and_a_pool_are_a_line(data: gr.RoutingDataset) -> None:
    split = gr.split_dataset(data, gr.TrainConfig().split)
    for value in (data, split, data.pool):
        assert len(repr(value)) < 120
        assert "\n" not in repr(value)
    assert repr(split) == "Split(56 train, 8 validation, 16 test)"
    assert read(data._repr_html_()).num_rows == 4


def test_a_decision_is_a_line_and_a_table(router: gr.GraphRouter) -> None:
    decision = router.route(LONG)
    assert repr(decision).startswith(f"Decision({decision.model!r}, effect={decision.effect:.3f} [")
    assert repr(decision).endswith("3 candidates, 0 rejected)")
    assert len(repr(decision)) < 200
    assert len(repr(decision.evidence[0])) < 200
    assert all(model in decision._repr_html_() for model in router.models)
    read(decision._repr_html_())


def test_a_policy_says_what_it_does_and_lists_what_was_given() -> None:
    shown = gr.Policy(cost_weight=0.25, excluded=("<nano>",))._repr_html_()
    assert "<td>cost_weight</td><td>0.25</td>" in shown
    assert "&lt;nano&gt;" in shown
    assert "max_cost_usd" not in shown
    assert "<td>effect_weight</td><td>0.75</td>" in shown  # one weight is both
    assert read(shown).num_rows == 4
    assert read(gr.Policy()._repr_html_()).num_rows == 1


def test_settings_and_cards_list_what_was_given() -> None:
    settings = gr.load_config(overrides=["training.max_epochs=7"])._repr_html_()
    assert "<td>training.max_epochs</td><td>7</td>" in settings
    card = gr.ModelCard(model="nano", json=True)._repr_html_()
    assert "<td>json</td><td>True</td>" in card
    assert read(card).num_rows == 3


def test_a_plan_is_a_table_of_whom_to_ask(router: gr.GraphRouter) -> None:
    plan = router.plan("1 + 1?", policy=gr.Policy.preset("performance_first"))
    assert read(plan._repr_html_()).num_rows == 1 + len(plan.options)
    assert f"<td>{plan.first}</td>" in plan._repr_html_()


def test_an_evaluation_has_a_row_for_everybody(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    found = router.evaluate(data, baselines=[], num_draws=10)
    shown = found._repr_html_()
    routers = found.settings["task_known"].routers
    assert read(shown).num_rows == 1 + len(routers)
    figure = routers["graphrouter"]["log_loss"].value
    assert f"<td>{figure:.4g}</td>" in shown
