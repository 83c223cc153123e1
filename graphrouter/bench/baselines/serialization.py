"""A baseline to and from an artifact: its fields as JSON and arrays, read back by their type hints.

No pickle.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np

from graphrouter.artifact import BASELINE as KIND
from graphrouter.artifact import ArtifactContents, Lineage, read_artifact, write_artifact
from graphrouter.config import EncoderConfig
from graphrouter.encoders import TextEncoder, restore_encoder
from graphrouter.exceptions import ArtifactError, GraphRouterError
from graphrouter.pool import ModelPool

_Arrays = dict[str, np.ndarray[Any, Any]]


def write_fields(router: Any, folder: Path, lineage: Lineage, *, overwrite: bool = False) -> None:
    """Write the fields of a baseline to `folder`; see `write_artifact`.

    Args:
        router: A dataclass with a `name`.
        folder: Where.
        lineage: Of the router.
        overwrite: Also in the place of changes that it does not come from.

    Raises:
        ArtifactError: `folder` is something else than a new or empty folder or an older artifact.
    """
    arrays: _Arrays = {}
    fields = {
        name: _encode(getattr(router, name), name, arrays) for name in _read_hints(type(router))
    }
    manifest = {"kind": KIND, "baseline": router.name, "fields": fields}
    contents = ArtifactContents(manifest, {"arrays": arrays} if arrays else {}, {})
    write_artifact(folder, contents, lineage=lineage, overwrite=overwrite)


def read_fields(
    kind: type[Any], folder: Path, lineage: Lineage, *, encoder: TextEncoder | None = None
) -> dict[str, Any]:
    """The fields of the baseline of class `kind` that was saved in `folder`, by name.

    Args:
        kind: Its class.
        folder: The artifact.
        lineage: Learns which version of the artifact it was.
        encoder: To use in place of the one that the artifact names.

    Raises:
        ArtifactError: There is no artifact, it is damaged, or it holds another router.
        EncoderError: The text encoder is not the one that the router was fitted with.
    """
    contents = read_artifact(folder)
    manifest = contents.manifest
    if manifest.get("kind") != KIND or manifest.get("baseline") != kind.name:
        what = manifest.get("baseline") if manifest.get("kind") == KIND else manifest.get("kind")
        raise ArtifactError(
            f"The artifact at {folder} is a {what!r}; expected {kind.name!r}. Load it with "
            "load_router."
        )
    lineage.note(folder, str(manifest["checksum"]))
    reader = _Reader(dict(contents.tensors.get("arrays", {})), encoder)
    try:
        return {
            name: reader.decode(manifest["fields"][name], hint, name)
            for name, hint in _read_hints(kind).items()
            # What an earlier release did not write has the default of the class.
            if name in manifest["fields"] or not hasattr(kind, name)
        }
    except GraphRouterError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        # A field that another release names or shapes otherwise, or that somebody made up.
        raise ArtifactError(
            f"The artifact at {folder} is not of this release ({error}). Fit the router again."
        ) from error


def arrange_in_rows(value: Any) -> Any:
    """The value with every array in it, at any depth, stored row after row, as loading makes them.

    A product rounds by the way its factors lie in memory, so a router that keeps what fitting left
    behind (transposed, sliced, a column of a table) would predict otherwise after it was loaded.

    Example:
        >>> turned = np.arange(6.0).reshape(2, 3).T
        >>> turned.flags.c_contiguous, arrange_in_rows((turned, 1))[0].flags.c_contiguous
        (False, True)
    """
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value) if value.ndim else value
    if isinstance(value, dict):
        return {key: arrange_in_rows(item) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [arrange_in_rows(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | ModelPool):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        changed = {name: arrange_in_rows(item) for name, item in fields.items()}
        if any(changed[name] is not item for name, item in fields.items()):
            return dataclasses.replace(value, **changed)
    return value


def _read_hints(kind: type[Any]) -> dict[str, Any]:
    """Type of each field of a dataclass or named tuple, in their order."""
    hints = typing.get_type_hints(kind)
    names = (
        [field.name for field in dataclasses.fields(kind)]
        if dataclasses.is_dataclass(kind)
        else list(kind._fields)
    )
    return {name: hints[name] for name in names}


def _encode(value: Any, path: str, arrays: _Arrays) -> Any:
    """Plain JSON for the value; arrays go to `arrays` under their path."""
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {"array": path}
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, ModelPool):
        return [
            json.loads(card.model_dump_json(by_alias=True, exclude_none=True)) for card in value
        ]
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [_encode(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: _encode(item, f"{path}.{key}", arrays) for key, item in value.items()}
    if hasattr(value, "_fields") or dataclasses.is_dataclass(value):
        return {
            name: _encode(getattr(value, name), f"{path}.{name}", arrays)
            for name in _read_hints(type(value))
        }
    config: EncoderConfig | None = getattr(value, "config", None)
    return {  # all that is left is a text encoder
        "id": value.id,
        "revision": value.revision,
        "dimension": value.dimension,
        "config": config and config.model_dump(mode="json"),
    }


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Values from plain JSON and arrays, by the type that a field declares.

    A file cannot name a type of its own.
    """

    arrays: _Arrays
    encoder: TextEncoder | None

    def decode(self, stored: Any, hint: Any, path: str) -> Any:
        """The value of the declared type."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            return (
                None
                if stored is None
                else self.decode(stored, next(a for a in arguments if a is not type(None)), path)
            )
        if origin is np.ndarray:
            return self.arrays[stored["array"]]
        if origin is tuple:
            items = [arguments[0]] * len(stored) if arguments[-1] is Ellipsis else arguments
            return tuple(
                self.decode(item, kind, f"{path}.{i}")
                for i, (item, kind) in enumerate(zip(stored, items, strict=True))
            )
        if origin is dict:
            return {
                key: self.decode(item, arguments[1], f"{path}.{key}")
                for key, item in stored.items()
            }
        return self._decode_class(stored, hint, path)

    def _decode_class(self, stored: Any, hint: Any, path: str) -> Any:
        if hint in (bool, int, str):
            return hint(stored)
        if hint is float:
            return float(stored["float"] if isinstance(stored, dict) else stored)
        if hint is ModelPool:
            return ModelPool.of_stored(stored)
        if hint is TextEncoder:
            values = dict(stored)
            settings = values.pop("config")
            config = None if settings is None else EncoderConfig.model_validate(settings)
            return restore_encoder(self.encoder, config, **values)
        return hint(
            **{
                name: self.decode(stored[name], kind, f"{path}.{name}")
                for name, kind in _read_hints(hint).items()
                if name in stored or not hasattr(hint, name)  # an earlier release had it not
            }
        )
