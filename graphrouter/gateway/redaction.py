"""The operator's function that texts go through before they are stored, logged or judged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module

from graphrouter.exceptions import ConfigError

__all__ = ["Redaction", "load_redaction"]

_logger = logging.getLogger(__name__)


class Redaction:
    """Takes out of texts what nobody is to keep.

    Example:
        >>> hide = Redaction(lambda text: text.replace("Ada", "[name]"))
        >>> hide("Ada has 3 tarns.")
        '[name] has 3 tarns.'
    """

    def __init__(self, function: Callable[[str], str] | None = None) -> None:
        """A redaction.

        Args:
            function: Gives back a text as it may be kept; None to keep texts as they are.
        """
        self._function = function
        self.num_failed = 0
        """Texts that it could not be applied to, and which therefore are not kept."""

    def __call__(self, text: str | None) -> str | None:
        """A text as it may be kept; None for one that may not, since the function has failed.

        Args:
            text: As it came; None stays None.
        """
        if text is None or self._function is None:
            return text
        try:
            kept = self._function(text)
        except Exception as error:  # whatever it is, the text stays out
            why = type(error).__name__  # not what it says: the text may be in that
        else:
            if isinstance(kept, str):
                return kept
            why = f"it gave {type(kept).__name__}"
        self.num_failed += 1
        _logger.warning("A text was not kept, since it could not be redacted (%s).", why)
        return None


def load_redaction(path: str) -> Redaction:
    """The redaction by a function of the operator's.

    Args:
        path: Where it can be imported from, such as `my_company.privacy.redact`.

    Raises:
        ConfigError: It cannot be imported, is no function, or does not make a text of a text.

    Example:
        >>> load_redaction("textwrap.dedent")("  Add 3 and 4.")
        'Add 3 and 4.'
    """
    module, _, name = path.rpartition(".")
    if not module:
        raise ConfigError(
            f"{path!r} names no function; expected module and function, such as "
            "my_company.privacy.redact."
        )
    try:
        function = getattr(import_module(module), name)
    except Exception as error:  # of the operator's code, which may do anything when it is imported
        raise ConfigError(
            f"{path} cannot be imported ({type(error).__name__}: {error}). Name a function of a "
            "module that is installed, or in a folder of PYTHONPATH."
        ) from None
    if not callable(function):
        raise ConfigError(f"{path} is a {type(function).__name__}; expected a function.")
    found = Redaction(function)
    if found("Hello.") is None:
        raise ConfigError(
            f"{path} does not make a text of the text 'Hello.'. It is given a text, and gives back "
            "the text that may be kept."
        )
    return found
