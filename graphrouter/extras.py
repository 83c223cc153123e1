"""What an installation may lack, and the one way to ask for it: extras, and torch on a server."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from graphrouter.exceptions import MissingExtraError, NotApplicableError

__all__ = ["EXTRAS", "PURPOSES", "is_installed", "require_extra", "require_torch"]

EXTRAS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "bench": {
            "httpx2": "httpx2",
            "jinja2": "jinja2",
            "lightgbm": "lightgbm",
            "matplotlib": "matplotlib",
            "plotly": "plotly",
            "sklearn": "scikit-learn",
        },
        "envoy": {"envoy_data_plane": "envoy-data-plane", "grpc": "grpcio"},
        "hub": {"httpx2": "httpx2", "huggingface_hub": "huggingface-hub"},
        "index": {"faiss": "faiss-cpu"},
        "judging": {"jsonschema": "jsonschema", "torchmetrics": "torchmetrics"},
        "mlflow": {"mlflow": "mlflow"},
        "presidio": {
            "presidio_analyzer": "presidio-analyzer",
            "presidio_anonymizer": "presidio-anonymizer",
            "spacy": "spacy",
            "tldextract": "tldextract",
        },
        "retrieval": {"bm25s": "bm25s"},
        "sentence-transformers": {"sentence_transformers": "sentence-transformers"},
        "postgresql": {"psycopg": "psycopg", "psycopg_binary": "psycopg-binary"},
        "serve": {
            "aiohttp": "aiohttp",
            "alembic": "alembic",
            "fastapi": "fastapi",
            "httptools": "httptools",
            "httpx2": "httpx2",
            "jinja2": "jinja2",
            "opentelemetry": "opentelemetry-exporter-otlp-proto-http",
            "prometheus_client": "prometheus-client",
            "sqlalchemy": "SQLAlchemy",
            "threadpoolctl": "threadpoolctl",
            "uvicorn": "uvicorn",
            "uvloop": "uvloop",
        },
        "ray": {"ray": "ray"},
        "tune": {"optuna": "optuna", "optuna_integration": "optuna-integration"},
    }
)
"""Each extra of pyproject.toml: the module that is imported, and the package that has it."""

PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "bench": "baselines, benchmarks, reports, pictures, downloads of public datasets",
        "envoy": "choices for Envoy's ext_proc filter",
        "hub": "artifacts to and from a hub of models",
        "index": "a faster search where a router has seen very many queries",
        "judging": "judges by a schema of JSON, and by the words of a reference",
        "mlflow": "runs and routers in MLflow",
        "presidio": "a mask of personal data for logs",
        "retrieval": "search by words, for the example that routes to retrievers",
        "sentence-transformers": "transformer text encoders",
        "postgresql": "a gateway whose store lies in PostgreSQL",
        "serve": "a gateway for clients of OpenAI's API, and the collecting of graded answers",
        "ray": "predictions, assignments and routes on a Ray cluster",
        "tune": "a search for better settings",
    }
)
"""What each extra brings."""


def is_installed(module: str) -> bool:
    """Whether a library can be imported; asking does not import it.

    Example:
        >>> is_installed("numpy"), is_installed("no_such_library")
        (True, False)
    """
    try:
        return find_spec(module) is not None
    except ValueError:  # in memory without a spec, as a test puts a double there
        return True


def require_extra(extra: str, *modules: str, purpose: str) -> None:
    """Check that an extra is there, before work begins that would need it.

    Args:
        extra: A key of `EXTRAS`.
        modules: Those of its modules that are needed; all of them when none is named.
        purpose: What needs them, as the subject of the message.

    Raises:
        MissingExtraError: One of them cannot be imported.

    Example:
        >>> require_extra("bench", "sklearn", purpose="Clustering prompts")
    """
    for module in modules or EXTRAS[extra]:
        if not is_installed(module):
            raise MissingExtraError(EXTRAS[extra][module], extra=extra, purpose=purpose)


def require_torch(purpose: str) -> None:
    """Check that torch is there, which a server's installation does without.

    Args:
        purpose: What needs it, as the subject of the message.

    Raises:
        NotApplicableError: It is not installed.

    Example:
        >>> require_torch("Changing a pool")
    """
    if not is_installed("torch"):
        raise NotApplicableError(
            f"{purpose} needs torch, which is not installed: this installation serves routers, as "
            "docs/runtime.md says. Do it where graphrouter is installed whole, save the router, "
            "and load that."
        )
