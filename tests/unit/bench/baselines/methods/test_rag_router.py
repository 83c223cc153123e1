"""RAGRouter's score by hand, and that it learns whom documents help."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

import graphrouter as gr
from graphrouter.bench.baselines.learning import LearningData
from graphrouter.bench.baselines.methods.rag_router import RAGRouter, _score
from graphrouter.encoders.hashing import HashingEncoder


def test_score_is_that_of_knowledge_which_documents_shift() -> None:
    rng = np.random.default_rng(0)
    asked, read = rng.normal(size=(1, 2)), rng.normal(size=(1, 2))
    maps = [rng.normal(size=(2, 2)) for _ in range(3)]
    knowledge, usage = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
    query, documents, known, used = map(torch.from_numpy, (asked, read, knowledge, usage))
    found = _score(query, documents, [torch.from_numpy(part) for part in maps], known, used)
    received = found.numpy()[0]
    point, shift, direct = asked @ maps[0], read @ maps[1], read @ maps[2]
    for model in range(3):
        moved = knowledge[model, :2] + shift[0] * usage[model]
        expected = point[0] @ moved + direct[0] @ usage[model] + knowledge[model, 2]
        np.testing.assert_allclose(received[model], expected)


def test_learns_whom_documents_help() -> None:
    """`reader` solves what stands in the documents, `knower` what stands in none."""
    ids = [f"q{i}" for i in range(160)]
    helped = np.arange(160) % 2 == 0
    rows = [(q, "reader", float(h)) for q, h in zip(ids, helped, strict=True)]
    rows += [(q, "knower", float(not h)) for q, h in zip(ids, helped, strict=True)]
    texts = ["the answer stands here" if h else "weather sports" for h in helped]
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": ids, "task": None, "prompt": [f"who {i}" for i in ids], "context": texts}
        ),
        models=pd.DataFrame({"model": ["reader", "knower"]}),
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect"]),
    )
    learning = LearningData.of(
        data, ids[:130], encoder=HashingEncoder(64), validation_ids=ids[130:]
    )
    router = RAGRouter.learn(learning)
    contexts = ["the answer stands here", "weather sports"]
    found = router.predict(["who was it"] * 2, contexts=contexts).effect
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert np.isfinite(router.predict(["who was it"]).effect).all()
