"""Presidio as the mask of a log: patterns without a download, names by an installed pipeline."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from graphrouter.exceptions import ConfigError
from graphrouter.extras import require_extra

__all__ = ["make_presidio_mask"]

_LEAST_SCORE = 0.4
"""Presidio's least score of what is masked. Its patterns of bare digits (accounts, licences) score
up to .3 without a word beside them that says so, and would take the numbers out of every sum."""
_BLANK = re.compile(r"[a-z]{2,3}")


def make_presidio_mask(pipeline: str = "en") -> Callable[[str], str]:
    """A mask that puts the kind in the place of what presidio finds, such as `<EMAIL_ADDRESS>`.

    Mail addresses, telephone and card numbers, IBANs, IP addresses, URLs, dates and numbers of
    authorities are found by patterns and their check digits. Names of people and places are found
    by a pipeline of spaCy alone, a package to be installed apart. Nothing is downloaded.

    Args:
        pipeline: A language (`en`) for patterns alone, or the name or folder of an installed
            pipeline of spaCy (`en_core_web_sm`), for names too.

    Raises:
        MissingExtraError: The extra `presidio` is not installed.
        ConfigError: There is no such language or pipeline.

    Example:
        >>> mask = make_presidio_mask()
        >>> mask("Add 17 and 25, and write to ann@example.com.")
        'Add 17 and 25, and write to <EMAIL_ADDRESS>.'
    """
    require_extra("presidio", purpose="Masking by presidio")
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_anonymizer import AnonymizerEngine

    engine = _make_engine(_load_pipeline(pipeline))
    (language,) = engine.nlp
    registry = RecognizerRegistry(supported_languages=[language])
    with _without_warnings():  # one for each recognizer of another language
        registry.load_predefined_recognizers(languages=[language], nlp_engine=engine)
    registry.remove_recognizer("EmailRecognizer")
    registry.add_recognizer(_make_mail_recognizer(language))
    analyzer = AnalyzerEngine(
        registry=registry,
        nlp_engine=engine,
        supported_languages=[language],
        default_score_threshold=_LEAST_SCORE,
    )
    anonymizer = AnonymizerEngine()

    def mask(text: str) -> str:
        found = analyzer.analyze(text=text, language=language)
        masked: str = anonymizer.anonymize(text=text, analyzer_results=found).text
        return masked

    return mask


@contextmanager
def _without_warnings() -> Iterator[None]:
    log = logging.getLogger("presidio-analyzer")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _load_pipeline(name: str) -> Any:
    """A blank pipeline of a language, or one that is installed."""
    import spacy

    try:
        return spacy.blank(name) if _BLANK.fullmatch(name) else spacy.load(name)
    except (ImportError, OSError):
        raise ConfigError(
            f"--mask is 'presidio:{name}', but spaCy has no such language or installed pipeline. "
            "Leave it out to mask by patterns alone, or install the pipeline's package."
        ) from None


def _make_engine(pipeline: Any) -> Any:
    """Presidio's engine around a pipeline that is there, since its own loader would download."""
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    engine = SpacyNlpEngine(models=[{"lang_code": pipeline.lang, "model_name": pipeline.lang}])
    engine.nlp = {pipeline.lang: pipeline}
    return engine


def _make_mail_recognizer(language: str) -> Any:
    """Presidio's, with the list of domains that its library brings: it asks the network else."""
    from presidio_analyzer.predefined_recognizers import EmailRecognizer
    from tldextract import TLDExtract

    find_domain = TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):  # type: ignore[misc]
        """As its parent, but offline."""

        def validate_result(self, pattern_text: str) -> bool:
            """Whether the domain may exist."""
            return bool(find_domain(pattern_text).fqdn)

    return OfflineEmailRecognizer(supported_language=language, name="EmailRecognizer")
