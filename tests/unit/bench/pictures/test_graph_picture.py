"""The graph: nodes and edges of the networkx view, decisions of the router, and a page to ask."""

from __future__ import annotations

import json
import re

import pytest

import graphrouter as gr
from graphrouter.bench.pictures import draw_graph
from graphrouter.bench.pictures.routed_graph import build_routed_graph
from graphrouter.bench.simulate import simulate_people
from graphrouter.encoders import HashingEncoder
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.graph import to_networkx

HOSTILE = "</script><img src=x onerror=alert(1)>"


def test_the_view_of_networkx_is_what_is_drawn(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    routed = build_routed_graph(router, data, num_queries=12)
    view = to_networkx(data)
    for node, attributes in routed.graph.nodes(data=True):
        assert view.nodes[node] == attributes
    for start, end, attributes in routed.graph.edges(data=True):
        plain = {key: value for key, value in attributes.items() if key != "is_choice"}
        assert plain["kind"] == "sent_to" or view.edges[start, end] == plain
    assert len(routed.queries) == 12
    assert set(routed.tasks) <= set(view)


def test_a_query_goes_where_the_router_sends_it(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    policy = gr.Policy.preset("cost_first")
    routed = build_routed_graph(router, data, policy=policy, num_queries=12)
    rows = data.queries.set_index("query_id")
    for query in routed.queries:
        row = rows.loc[query.removeprefix("query:")]
        decision = router.route(row["prompt"], task=row["task"], policy=policy)
        assert routed.model_of(query) == decision.model
        assert routed.graph.edges[query, f"model:{decision.model}"]["is_choice"]
    assert sum(len(routed.sent_to(model)) for model in routed.models) == 12


def test_queries_are_spread_over_the_tasks(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    routed = build_routed_graph(router, data, num_queries=20)
    shares = [routed.task_of(query) for query in routed.queries]
    assert {shares.count(task) for task in shares} == {2}  # of ten tasks
    again = build_routed_graph(router, data, num_queries=20, seed=1)
    assert set(again.queries) != set(routed.queries)


def test_the_drawing_has_a_line_for_every_choice_and_name_of_every_model(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    picture = draw_graph(router, data, num_queries=10)
    axes = picture.figure().axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_zorder() == 1]
    assert len(lines) == 20  # to its task and to its model
    texts = [text.get_text() for text in axes.texts]
    for model in {row[2] for row in picture.rows}:
        number = sum(row[2] == model for row in picture.rows)
        assert f"{model} ({number})" in texts


def test_the_page_tells_of_every_node(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    picture = draw_graph(router, data, num_queries=10)
    page = picture.to_html()
    assert len(page) < 300_000
    assert "https://" not in page
    stories = json.loads(re.search(r'id="stories">(.*?)</script>', page, re.DOTALL)[1])["nodes"]
    assert len(stories) == page.count('tabindex="0"') == len(picture.routed.graph.nodes)
    told = [story for story in stories if story["kind"] == "query"]
    for story, row in zip(told, picture.rows, strict=True):
        assert story["title"] == row[0]
        first = story["tables"][0]["rows"][0]
        assert first[0] == f"{row[2]} ←"
    choices = re.findall(r'<line class="choice" data-f="(\d+)" data-t="(\d+)"', page)
    assert len(choices) == 10
    assert all(stories[int(end)]["kind"] == "model" for _, end in choices)


def test_users_stand_beside_the_tasks_and_queries_go_where_they_go_for_who_asked() -> None:
    data = simulate_people(num_queries=200, num_models=4, num_users=5, num_teams=2, seed=1).data
    router = gr.GraphRouter.fit(data, encoder=HashingEncoder(32), instant=True)
    picture = draw_graph(router, data, num_queries=12)
    routed, rows = picture.routed, data.queries.set_index("query_id")
    asked = {query: rows.loc[query.removeprefix("query:")] for query in routed.queries}
    assert {routed.user_node_of(query) for query in asked} == set(routed.users)
    for query, row in asked.items():
        assert routed.user_node_of(query) == f"user:{row['user']}"
        decision = router.route(row["prompt"], task=row["task"], user=row["user"])
        assert routed.model_of(query) == decision.model
    axes = picture.figure().axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_zorder() == 1]
    assert len(lines) == 3 * 12  # to its task, to who asked, and to its model
    page = picture.to_html()
    stories = json.loads(re.search(r'id="stories">(.*?)</script>', page, re.DOTALL)[1])["nodes"]
    told = [story for story in stories if story["kind"] == "user"]
    assert sorted(f"user:{story['title']}" for story in told) == sorted(routed.users)
    assert any("team-" in line for line in told[0]["lines"])
    assert sum(int(row[1]) for story in told for row in story["tables"][0]["rows"]) == 12


def test_prompts_cannot_leave_their_place(data: gr.RoutingDataset) -> None:
    hostile = gr.RoutingDataset.from_frames(
        queries=data.queries.assign(prompt=HOSTILE + data.queries["prompt"]),
        models=data.models.assign(description=HOSTILE),
        outcomes=data.outcomes,
    )
    router = gr.GraphRouter.fit(hostile, instant=True)
    picture = draw_graph(router, hostile, num_queries=6)
    assert HOSTILE not in picture.to_html()
    assert HOSTILE not in picture._repr_html_()


def test_in_a_notebook_the_page_stands_in_a_frame(
    router: gr.GraphRouter, data: gr.RoutingDataset
) -> None:
    html = draw_graph(router, data, num_queries=5)._repr_html_()
    assert html.startswith("<iframe srcdoc=")
    assert "<svg" not in html  # all of it is escaped


def test_what_cannot_be_drawn_is_refused(router: gr.GraphRouter, data: gr.RoutingDataset) -> None:
    with pytest.raises(DataError, match="num_queries is 0"):
        draw_graph(router, data, num_queries=0)
    with pytest.raises(PolicyError, match="max_cost_usd|above"):
        draw_graph(router, data, policy=gr.Policy(max_cost_usd=1e-12))
