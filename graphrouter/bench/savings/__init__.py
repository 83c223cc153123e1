"""What a period of calls would have cost, and how good it would have been, under other policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.bench.savings.logged_period import Period, read_period
    from graphrouter.bench.savings.savings_page import render_savings_html
    from graphrouter.bench.savings.savings_pdf import write_savings_pdf
    from graphrouter.bench.savings.savings_result import Savings, find_savings

__all__ = [
    "Period",
    "Savings",
    "find_savings",
    "read_period",
    "render_savings_html",
    "write_savings_pdf",
]

_MODULE_OF = {
    "Period": "graphrouter.bench.savings.logged_period",
    "Savings": "graphrouter.bench.savings.savings_result",
    "find_savings": "graphrouter.bench.savings.savings_result",
    "read_period": "graphrouter.bench.savings.logged_period",
    "render_savings_html": "graphrouter.bench.savings.savings_page",
    "write_savings_pdf": "graphrouter.bench.savings.savings_pdf",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
