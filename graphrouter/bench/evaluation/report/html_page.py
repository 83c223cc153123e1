"""What every HTML page shares: style, scripts, embedded figures, a policy against all else."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from graphrouter.bench.evaluation.report.plots import Figure
from graphrouter.extras import require_extra

_PACKAGE = "graphrouter.bench.evaluation.report"
_SCRIPT, _STYLE = "report.js", "report.css"


def render_page(
    template: str,
    values: Mapping[str, object],
    *,
    package: str = _PACKAGE,
    has_plots: bool = True,
    scripts: Sequence[str] = (),
) -> str:
    """A page that needs nothing else: no network, no other file.

    Everything that comes from data is escaped, and the page forbids itself every script that it did
    not bring along, and every connection: a prompt cannot run code even where escaping should fail.

    Args:
        template: One that extends `page.html.jinja`.
        values: What it names.
        package: Where it lies, in a folder `templates`; it may use the templates of the report too.
        has_plots: False leaves out the megabytes that draw figures.
        scripts: Of the page's own.

    Raises:
        MissingExtraError: What draws and fills in pages is not installed.
    """
    require_extra("bench", "jinja2", "plotly", purpose="A report")
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, _PACKAGE))])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sort_key"] = _sort_key
    style, script = (loader.get_source(environment, name)[0] for name in (_STYLE, _SCRIPT))
    brought = [script, *([_read_plotly()] if has_plots else []), *scripts]
    hashes = [_content_hash(text) for text in brought]
    return environment.get_template(template).render(
        **values, style=style, scripts=brought, script_hashes=hashes
    )


def embed(figure: Figure) -> str:
    """JSON that may stand inside a script element: without `<`, nothing in it ends the element."""
    text = json.dumps(figure, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read_plotly() -> str:
    from plotly.offline import get_plotlyjs  # here: a page without plots need not wait for it

    return str(get_plotlyjs())


def _content_hash(script: str) -> str:
    """Source of a script in a content security policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _sort_key(number: Any) -> str:
    """A number as an attribute; empty when undefined."""
    return repr(float(number)) if math.isfinite(number) else ""
