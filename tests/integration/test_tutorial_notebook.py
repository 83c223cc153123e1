"""The notebook runs in a kernel of its own, shows what it says, and is kept without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.unit.test_public_api import imported_names, public_names

FILE = Path(__file__).resolve().parents[2] / "examples" / "tutorial.ipynb"
SHOWN = {  # the end of a cell, and what stands in what it shows
    "data": "RoutingDataset(",
    "router": "GraphRouter(6 models",
    "policy": "<td>cost_weight</td><td>0.3</td>",
    "decision": "<table>",
    "draw_frontier(router, data)": ">this router</text>",
    "plan": "<td>yes</td>",
    "savings": "Quality first",
}


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(FILE, as_version=4)


def test_it_is_kept_without_outputs(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert FILE.stat().st_size < 20_000


@pytest.mark.slow
def test_every_cell_runs_and_shows_itself(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    done = client.execute()
    shown = {
        cell.source.splitlines()[-1]: "".join(
            output.data.get("text/html", "") for output in cell.outputs if "data" in output
        )
        for cell in done.cells
        if cell.cell_type == "code"
    }
    for last, text in SHOWN.items():
        assert text in shown[last], last
    pictures = [html for html in shown.values() if "<svg" in html]
    assert len(pictures) == 3  # frontier, calibration, plan
    assert sum("<iframe srcdoc" in html for html in shown.values()) == 1  # the graph
    assert (tmp_path / "savings.html").stat().st_size < 300_000
    assert (tmp_path / "artifacts" / "tutorial" / "manifest.json").is_file()


def test_cells_take_public_names_alone(notebook: nbformat.NotebookNode) -> None:
    taken = [
        (module, name)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for module, name in imported_names(cell.source)
    ]
    assert len(taken) > 10
    assert [name for module, name in taken if name not in public_names(module)] == []
