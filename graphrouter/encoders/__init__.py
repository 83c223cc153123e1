"""Text encoders behind one protocol: `create_encoder` gives the one that the settings name.

Importing this package loads no encoder library; constructing an encoder loads its own.
"""

from __future__ import annotations

from graphrouter.config import EncoderConfig
from graphrouter.encoders.cache import CachedEncoder
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.encoders.sentence_transformer import SentenceTransformerEncoder
from graphrouter.encoders.text_encoder import TextEncoder, check_encoder, clip_text
from graphrouter.encoders.wordllama import WordLlamaEncoder
from graphrouter.exceptions import ConfigError

__all__ = [
    "CachedEncoder",
    "HashingEncoder",
    "SentenceTransformerEncoder",
    "TextEncoder",
    "WordLlamaEncoder",
    "check_encoder",
    "clip_text",
    "create_encoder",
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
    return WordLlamaEncoder(config.dimension, max_chars=config.max_chars)
