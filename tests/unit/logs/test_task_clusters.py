from __future__ import annotations

import numpy as np

from graphrouter.logs.task_clusters import cluster_prompts, name_clusters

SUMS = [f"Add {i} and {i + 3}, what is the sum?" for i in range(20)]
RIVERS = [
    f"Which river flows through the city of {c}?" for c in ["Rome", "Paris", "Lyon", "Bonn", "Wien"]
]


def test_prompts_alike_share_a_task_with_a_telling_name() -> None:
    tasks = cluster_prompts([*SUMS, *RIVERS], 2)
    assert len(set(tasks[:20])) == 1
    assert len(set(tasks[20:])) == 1
    assert tasks[0] != tasks[-1]
    assert "sum" in tasks[0]
    assert "river" in tasks[-1] or "city" in tasks[-1]
    assert cluster_prompts([*SUMS, *RIVERS], 2) == tasks


def test_pieces_of_one_kind_of_prompts_are_one_task_unless_a_number_is_asked_for() -> None:
    many = [f"Add {i} and {j}, what is the sum?" for i in range(20) for j in range(20)]
    rivers = [f"Which river flows through the city number {i}?" for i in range(200)]
    assert len(set(cluster_prompts([*many, *rivers]))) == 2
    assert len(set(cluster_prompts([*many, *rivers], 6))) == 6


def test_fewer_prompts_than_clusters() -> None:
    assert len(set(cluster_prompts(["Add 1.", "Add 1.", "Sing a song."], 8))) == 2
    assert len(cluster_prompts(["Sing."])) == 1


def test_names_are_distinct_and_never_empty() -> None:
    names = name_clusters(["12 + 3", "sing sing", "sing sing", "4"], np.array([0, 1, 2, 3]))
    assert len(set(names.values())) == 4
    assert names[0] == "other"
