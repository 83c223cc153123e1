"""The hook by which personal data are masked before anything of a log is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from graphrouter.chats.conversation import Conversation
from graphrouter.exceptions import ConfigError, DataError
from graphrouter.logs.logged_calls import LoggedCall
from graphrouter.logs.presidio_mask import make_presidio_mask

__all__ = ["Mask", "load_mask", "mask_call"]

Mask = Callable[[str], str]
"""Takes a text, and gives it back without what is personal."""
_PRESIDIO = "presidio"


def load_mask(path: str) -> Mask:
    """The mask that a path names.

    Args:
        path: `MODULE:FUNCTION`, where a module of the present folder counts; or `presidio`, or
            `presidio:PIPELINE`, as `make_presidio_mask` takes it.

    Raises:
        ConfigError: There is no such function or pipeline.
        MissingExtraError: Presidio is asked for, and the extra is not installed.

    Example:
        >>> load_mask("html:escape")("<a>")
        '&lt;a&gt;'
    """
    module, _, name = path.partition(":")
    if module == _PRESIDIO:
        return make_presidio_mask(name) if name else make_presidio_mask()
    if not module or not name:
        raise ConfigError(
            f"--mask is {path!r}; expected presidio, or MODULE:FUNCTION, such as masks:hide_mail."
        )
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"--mask is {path!r}, which cannot be loaded: {error}.") from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise ConfigError(f"--mask is {path!r}, which is no function.")
    mask: Mask = found
    return mask


def mask_call(call: LoggedCall, mask: Mask) -> LoggedCall:
    """The call, all texts of its chat and its answer masked.

    Raises:
        DataError: The function gives back something else than a text.
    """
    turns = tuple(turn._replace(text=_apply(mask, turn.text)) for turn in call.conversation.turns)
    conversation: Conversation = call.conversation._replace(turns=turns)
    answer = None if call.answer is None else _apply(mask, call.answer)
    return call._replace(conversation=conversation, answer=answer)


def _apply(mask: Mask, text: str) -> str:
    masked = mask(text)
    if not isinstance(masked, str):
        raise DataError(f"The mask gave back a {type(masked).__name__}; expected a text.")
    return masked
