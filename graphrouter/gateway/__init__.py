"""The gateway: routes the requests of any client of OpenAI's API or Anthropic's.

`load_upstreams` reads where candidates are served, `create_app` makes the ASGI application that
`graphrouter serve` runs. `LiteLLMPlugin` chooses inside LiteLLM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.gateway.app import create_app
    from graphrouter.gateway.litellm_plugin import LiteLLMPlugin
    from graphrouter.gateway.memory import Memory
    from graphrouter.gateway.upstreams import Deployment, Upstream, load_upstreams

__all__ = ["Deployment", "LiteLLMPlugin", "Memory", "Upstream", "create_app", "load_upstreams"]

_MODULE_OF = {
    "Deployment": "graphrouter.gateway.upstreams",
    "LiteLLMPlugin": "graphrouter.gateway.litellm_plugin",
    "Memory": "graphrouter.gateway.memory",
    "Upstream": "graphrouter.gateway.upstreams",
    "create_app": "graphrouter.gateway.app",
    "load_upstreams": "graphrouter.gateway.upstreams",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
