"""Write the page that shows what a router would have saved on a log, and a picture of its graph.

Usage:
    python examples/show_savings.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import graphrouter as gr
from graphrouter.bench.pictures import draw_graph
from graphrouter.bench.savings import find_savings, read_period, render_savings_html


def main(folder: Path) -> None:
    """Measure on the queries that the router has not learned from, and write two pages."""
    data = gr.simulate(num_queries=300).data
    router = gr.GraphRouter.fit(data, instant=True)
    savings = find_savings(router, read_period(router, data), baseline="tarn-grand")
    for policy in savings.policies[1:]:
        change = policy.effect_change
        print(f"{policy.name}: saves {policy.saved_share:.0%}, effect {change.low:+.2f} or more")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "savings.html").write_text(render_savings_html(savings), encoding="utf-8")
    draw_graph(router, data).save(folder / "graph.html")
    print(f"Wrote {folder / 'savings.html'} and {folder / 'graph.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "artifacts/pages"))
