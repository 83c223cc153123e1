"""Text encoders behind one protocol: `create_encoder` gives the one that the settings name.

Importing this package loads no encoder library; constructing an encoder loads its own. The
protocol stands in `text_encoder`, the default in `wordllama`. A new one is a file here, a line in
`create_encoder`, and a name in `config.EncoderConfig`.
"""

from __future__ import annotations

from typing import assert_never

from graphrouter.config import EncoderConfig
from graphrouter.encoders.cache import CachedEncoder
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.encoders.sentence_transformer import SentenceTransformerEncoder
from graphrouter.encoders.text_encoder import (
    TextEncoder,
    check_encoder,
    check_is_encoder,
    clip_text,
    describe_encoder,
    encode_texts,
)
from graphrouter.encoders.wordllama import WordLlamaEncoder
from graphrouter.exceptions import ConfigError, EncoderError

__all__ = [
    "CachedEncoder",
    "HashingEncoder",
    "SentenceTransformerEncoder",
    "TextEncoder",
    "WordLlamaEncoder",
    "check_encoder",
    "check_is_encoder",
    "clip_text",
    "create_encoder",
    "encode_texts",
    "restore_encoder",
]


def create_encoder(config: EncoderConfig) -> TextEncoder:
    """The text encoder of the settings, with the on-disk cache around it when `cache_dir` is set.

    Example:
        >>> encoder = create_encoder(EncoderConfig(name="hashing", dimension=64))
        >>> encoder.encode(["What is 2 + 2?", ""]).shape
        (2, 64)

    Raises:
        ConfigError: The settings do not go together, such as a `path` for an encoder that has none.
        EncoderError: The encoder cannot be loaded.
        MissingExtraError: The package that the encoder needs is not installed.
    """
    encoder = _bare_encoder(config)
    if config.cache_dir is None:
        return encoder
    return CachedEncoder(encoder, config.cache_dir, max_chars=config.max_chars)


def restore_encoder(
    given: TextEncoder | None,
    config: EncoderConfig | None,
    *,
    id: str,
    revision: str,
    dimension: int,
) -> TextEncoder:
    """The text encoder of a saved router: the one given, or the one that its settings make.

    Args:
        given: What the caller passed to `load`.
        config: The settings that were saved; None where the encoder had none.
        id: Of the encoder that the router was trained with.
        revision: Likewise.
        dimension: Likewise.

    Raises:
        EncoderError: It is another encoder, or no settings make it and none was given.
    """
    if given is not None:
        check_is_encoder(given)
    encoder = given or (create_encoder(config) if config is not None else None)
    if given is None and (encoder is None or encoder.id != id):
        wanted = describe_encoder(id, revision, dimension)
        why = "none was saved" if encoder is None else f"its settings make {encoder.id!r}"
        raise EncoderError(
            f"The router was trained with the text encoder {wanted}, which cannot be made from its "
            f"settings: {why}. Pass the encoder: load_router(FOLDER, encoder=...)."
        )
    assert encoder is not None
    check_encoder(encoder, id=id, revision=revision, dimension=dimension)
    return encoder


def _bare_encoder(config: EncoderConfig) -> TextEncoder:
    if config.name == "sentence-transformers":
        if config.path is None:
            raise ConfigError(
                "encoder.name = sentence-transformers needs encoder.path: a model folder or a hub "
                "name."
            )
        return SentenceTransformerEncoder(config.path, max_chars=config.max_chars)
    if config.path is not None:
        raise ConfigError(
            f"encoder.path = {config.path!r} is for sentence-transformers; {config.name} has "
            "none. Remove it."
        )
    if config.name == "hashing":
        return HashingEncoder(config.dimension, max_chars=config.max_chars)
    if config.name == "wordllama":
        return WordLlamaEncoder(config.dimension, max_chars=config.max_chars)
    assert_never(config.name)  # a name in the settings that nothing is made of
