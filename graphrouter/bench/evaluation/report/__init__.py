"""The report of an evaluation: one HTML file that needs no network, and the same in Markdown."""

from graphrouter.bench.evaluation.report.content import Report, build_report
from graphrouter.bench.evaluation.report.html import render_html
from graphrouter.bench.evaluation.report.markdown import render_markdown

__all__ = ["Report", "build_report", "render_html", "render_markdown"]
