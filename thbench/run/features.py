"""Features of videos in a run folder: one small file for each record and extractor."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from thbench.errors import UsageError
from thbench.run.files import check_writable, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FOLDER = "features"
"""Folder of the features in a run folder."""
_ARRAY = "features"


def feature_file(folder: Path, extractor: str, key: str) -> Path:
    """Return where the features of a record lie."""
    return folder / FOLDER / extractor / f"{key}.npz"


def write_features(folder: Path, key: str, features: Mapping[str, NDArray[np.float32]]) -> dict[str, int]:
    """Store the features of a record, each file whole or not at all, before the record itself is stored.

    Args:
        folder: The run folder.
        key: Key of the record.
        features: Extractor to features, shape (n, d).

    Returns:
        Extractor to number of rows, for the record.

    Raises:
        WriteError: A file cannot be written.
    """
    for extractor, rows in features.items():
        path = feature_file(folder, extractor, key)
        check_writable(path.parent)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **{_ARRAY: rows})
        write_atomically(path, content.getvalue())
    return {extractor: len(rows) for extractor, rows in features.items()}


def read_features(folder: Path, extractor: str, key: str) -> NDArray[np.float32] | None:
    """Return the features of a record, shape (n, d); None if there is no such file.

    Raises:
        UsageError: The file cannot be read.
    """
    path = feature_file(folder, extractor, key)
    try:
        with np.load(path, allow_pickle=False) as content:
            return np.asarray(content[_ARRAY], dtype=np.float32)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read: {error}; remove its record's line, or run again elsewhere") from error
