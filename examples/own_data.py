"""Write a tiny dataset as CSV files, read it back, train on it, and route under three policies."""

from __future__ import annotations

import tempfile
from pathlib import Path

import graphrouter as gr

POLICIES = ({"cost_weight": 0}, {"min_effect": 0.8, "fallback": "large"}, {"max_cost_usd": 1e-5})


def write_tables(folder: Path) -> None:
    """Write sums and letters: the small model fails at long sums, the large one costs 25 x more."""
    queries = ["query_id,task,prompt"]
    outcomes = ["query_id,model,effect,input_tokens,output_tokens"]
    for i in range(40):
        queries += [f"s{i},sums,What is {17 * i + 3} + {' + '.join(['29'] * (1 + i % 4))}?"]
        queries += [f"l{i},letters,Write a friendly letter to customer {i} about the late order."]
        outcomes += [f"s{i},small,{int(i % 4 < 2)},14,10", f"s{i},large,1,14,12"]
        outcomes += [f"l{i},small,0.9,16,150"]
        outcomes += [f"l{i},large,0.95,16,180"] if i % 2 else []  # not run: no row
    (folder / "queries.csv").write_text("\n".join(queries), encoding="utf-8")
    (folder / "outcomes.csv").write_text("\n".join(outcomes), encoding="utf-8")
    models = ["model,input_usd_per_mtok,output_usd_per_mtok", "small,0.1,0.4", "large,2.5,10"]
    (folder / "models.csv").write_text("\n".join(models), encoding="utf-8")


def main() -> None:
    """Print one line a policy."""
    with tempfile.TemporaryDirectory() as name:
        write_tables(Path(name))
        data = gr.load_dataset(name)
    config = gr.load_config(overrides=["training.max_epochs=2", "training.steps_per_epoch=10"])
    router = gr.GraphRouter.fit(data, config)
    prompt = "What is 400 + 29 + 29 + 29 + 29?"
    for settings in POLICIES:
        found = router.route(prompt, task="sums", policy=gr.Policy(**settings))
        print(f"{found.model}: {found.effect:.2f}, {found.cost_usd:.6f} USD, not {found.rejected}")


if __name__ == "__main__":
    main()
