"""Every error that graphrouter raises on purpose.

GraphRouterError
├── DataError(ValueError)          tables that break the contract
│   └── ChatError                  messages of a chat that are none
├── ConfigError(ValueError)        a setting that does not exist or is out of range
├── EncoderError(RuntimeError)     a text encoder that cannot be loaded or does not match
├── ArtifactError(RuntimeError)    a saved router that is damaged, edited or too new
├── BusyError(RuntimeError)        a folder that another process is changing
├── PolicyError(ValueError)        a policy that contradicts itself or that nobody satisfies
├── PromiseError(ValueError)       a promise that graded queries do not support
├── RunError(RuntimeError)         a model or a judge that was called failed
├── UnknownModelError(KeyError)    a model that is not in the pool
├── UnknownRouteError(KeyError)    a named route that is not there
├── StoreError(RuntimeError)       a store of the gateway that cannot be opened or written
├── TrainingError(RuntimeError)    a training that diverged
├── WorkerError(RuntimeError)      a process that cannot be given its work, or that died
├── NotApplicableError(ValueError) a method that needs something which the data does not have
├── ConformanceError(AssertionError) a router that breaks a promise of its class
├── LeakageError(AssertionError)   a supervised pair that is also a message edge
└── MissingExtraError(ImportError) an optional part that is not installed
"""

__all__ = [
    "ArtifactError",
    "BusyError",
    "ChatError",
    "ConfigError",
    "ConformanceError",
    "DataError",
    "EncoderError",
    "GraphRouterError",
    "LeakageError",
    "MissingExtraError",
    "NotApplicableError",
    "PolicyError",
    "PromiseError",
    "RunError",
    "StoreError",
    "TrainingError",
    "UnknownModelError",
    "UnknownRouteError",
    "WorkerError",
]


class GraphRouterError(Exception):
    """Root of all errors that graphrouter raises on purpose: catch this one to catch them all.

    Pydantic's own methods of the settings classes (`Policy.model_validate` and its kin) raise
    pydantic's `ValidationError` instead; a call such as `Policy(cost_weight=2)` does not.

    Example:
        >>> from graphrouter import load_config
        >>> try:
        ...     load_config(overrides=["training.epochs=3"])
        ... except GraphRouterError as error:
        ...     print(error)
        --set: unknown setting 'training.epochs'. Did you mean 'training.max_epochs'?
    """

    def __str__(self) -> str:
        # KeyError would show the repr of the message; people should read the message itself.
        return str(self.args[0]) if self.args else ""


class DataError(GraphRouterError, ValueError):
    """A table that breaks the data contract.

    The message names the table, the row and the mending.
    """


class ChatError(DataError):
    """Messages of a chat, or a request that holds them, in no form that is known."""

    def __init__(self, message: str = "", *, member: str | None = None) -> None:
        super().__init__(*([message] if message else []))
        self.member = member
        """Of the request, where it is known which is wrong."""


class ConfigError(GraphRouterError, ValueError):
    """A setting that does not exist, or whose value is not accepted."""


class EncoderError(GraphRouterError, RuntimeError):
    """A text encoder that cannot be loaded, or is not the one a router was trained with."""


class ArtifactError(GraphRouterError, RuntimeError):
    """A saved router that is damaged, edited, incomplete or too new for this release."""


class BusyError(GraphRouterError, RuntimeError):
    """A folder that another process is changing; the message names it."""


class PolicyError(GraphRouterError, ValueError):
    """A policy that contradicts itself, or that nothing satisfies.

    It needs what the router cannot predict, or excludes every model.
    """


class PromiseError(GraphRouterError, ValueError):
    """A promise that the graded queries at hand do not support."""

    def __init__(self, message: str = "", *, num_queries: int | None = None) -> None:
        super().__init__(*([message] if message else []))
        self.num_queries = num_queries
        """About how many graded queries it takes; None where those at hand do not exceed it."""


class RunError(GraphRouterError, RuntimeError):
    """A model or a judge that was called failed, and nobody else could be asked.

    Attributes:
        run: What was called and paid until then.
    """

    run: object = None


class UnknownModelError(GraphRouterError, KeyError):
    """A model that is not in the pool."""


class UnknownRouteError(GraphRouterError, KeyError):
    """A named route that is not among those given."""


class StoreError(GraphRouterError, RuntimeError):
    """A store of the gateway that cannot be opened or written, or is of another version."""


class TrainingError(GraphRouterError, RuntimeError):
    """A training whose weights or figures are no longer finite."""


class WorkerError(GraphRouterError, RuntimeError):
    """A process that cannot be given its work, or that ended before it was done."""


class NotApplicableError(GraphRouterError, ValueError):
    """A method that needs something which the data does not have.

    Such as costs or the texts of answers.
    """


class ConformanceError(GraphRouterError, AssertionError):
    """A router that breaks a promise of its class.

    The message names the promise and says what happened. See `graphrouter.testing`.
    """

    def __init__(self, message: str = "", *, failures: tuple[str, ...] = ()) -> None:
        super().__init__(*([message] if message else []))
        self.failures = failures
        """Messages of all broken promises, where several were checked."""


class LeakageError(GraphRouterError, AssertionError):
    """A supervised (query, model) pair that is visible as a message edge."""


class MissingExtraError(GraphRouterError, ImportError):
    """An optional dependency that is not installed; the message carries the pip line."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'graphrouter[{extra}]'"
        )
