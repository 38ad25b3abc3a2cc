"""The same queries to every photo of a folder: python -m annexe_demo batch DIR --queries FILE --out DIR

OUT gets a folder a photo, named after it, and in this ``query_<n>/`` for each query, with the files that ``ask`` writes. A
photo's folder appears when all of its queries are answered, so a run that was interrupted goes on with the same command.
``batch.json`` says what was asked of which model.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annexe_demo.images import ImageError, load_image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
SETTINGS_FILE = "batch.json"
_PART = ".part"  # ends the name of a photo's folder that is still being filled


class BatchError(ValueError):
    """The batch cannot be run as it was asked for; the message is a sentence for people."""


@dataclass(frozen=True)
class Outcome:
    """What came of a batch.

    Attributes:
        done: photos answered in this run.
        before: photos that an earlier run had answered.
        failed: photos that could not be answered, by their path in the folder, with the reason.
    """

    done: int
    before: int
    failed: dict[str, str]


def read_queries(path: Path) -> list[str]:
    """Queries of a UTF-8 text file, one a line; blank lines and lines that begin with ``#`` are passed over.

    Raises:
        BatchError: the file cannot be read, has no query, or a query has more characters than may be asked.
    """
    from annexe_demo.session import QueryError, check_query

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BatchError(f"the queries in {str(path)!r} must be UTF-8 text but are not") from error
    except OSError as error:
        raise BatchError(f"the queries in {str(path)!r} cannot be read: {error.strerror or error}") from error
    queries = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            try:
                queries.append(check_query(line))
            except QueryError as error:
                raise BatchError(f"{path}, line {number}: {error}") from error
    if not queries:
        raise BatchError(f"{str(path)!r} must have at least one query, one a line, but has none")
    return queries


def find_photos(folder: Path, out: Path) -> list[Path]:
    """Photos of a folder and its subfolders, as paths in it, sorted; what lies in `out` is no photo of it.

    Raises:
        BatchError: there is no such folder, or it has no photo.
    """
    if not folder.is_dir():
        raise BatchError(f"photos must be in a folder but there is no folder {str(folder)!r}")
    inside = out.resolve()
    found = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and inside not in path.resolve().parents
    ]
    if not found:
        raise BatchError(f"{str(folder)!r} must hold photos ({', '.join(sorted(SUFFIXES))}) but holds none")
    return sorted(found)


def check_settings(out: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Note what is asked of which model in a batch's folder.

    Raises:
        BatchError: the folder holds answers to something else, and `overwrite` is False.
        OSError: the folder cannot be written to.
    """
    path = out / SETTINGS_FILE
    if path.exists() and not overwrite:
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            other = [name for name, value in settings.items() if before[name] != value]
        except (ValueError, KeyError, TypeError) as error:
            raise BatchError(f"{path} must be the settings of a batch but is not; give another --out") from error
        if other:
            raise BatchError(
                f"{str(out)!r} holds a batch with other {' and '.join(other)}; give another --out, or --overwrite"
            )
        return
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def answer_photo(pipe: Any, photo: Path, queries: Sequence[str], folder: Path) -> None:
    """Ask all queries about one photo and write what comes of it to `folder`, which appears at once or not at all.

    Args:
        pipe: an `AnnexePipeline`, or anything whose ``open(image)`` gives a session with ``analyze`` and ``ask``.
        photo: a picture's file.
        queries: each 1 to 2,000 characters.
        folder: replaced where it exists.

    Raises:
        ImageError: the photo cannot be read.
        OSError: the results cannot be written.
        ServiceError: a served model failed.
    """
    from annexe_demo.session import collect
    from annexe_demo.view.export import save_result

    session = pipe.open(load_image(photo))
    part = folder.with_name(folder.name + _PART)
    shutil.rmtree(part, ignore_errors=True)
    try:
        for number, query in enumerate(queries, 1):
            save_result(part / f"query_{number}", collect(session, query), query, session.image)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def run_batch(
    pipe: Any, folder: Path, photos: Sequence[Path], queries: Sequence[str], out: Path, overwrite: bool = False
) -> Outcome:
    """Ask the queries about every photo, with a progress bar on stderr.

    A photo that cannot be read, or that the model has not enough memory for, is reported and does not stop the others. One
    that has changed since it was answered is asked again.

    Raises:
        OSError: the results cannot be written.
        ServiceError: a served model failed; the others would fare no better.
    """
    from tqdm import tqdm

    todo = [p for p in photos if overwrite or not _answered(folder / p, out / p)]
    failed: dict[str, str] = {}
    with tqdm(total=len(photos), initial=len(photos) - len(todo), unit="photo", file=sys.stderr) as bar:
        for path in todo:
            bar.set_postfix_str(path.name, refresh=True)
            try:
                answer_photo(pipe, folder / path, queries, out / path)
            except (ImageError, MemoryError, RuntimeError) as error:
                reason = _reason(error)
                if reason is None:
                    raise
                failed[str(path)] = reason
                bar.write(f"{path}: {reason}", file=sys.stderr)
            bar.update()
    return Outcome(len(todo) - len(failed), len(photos) - len(todo), failed)


def _answered(photo: Path, folder: Path) -> bool:
    return folder.is_dir() and folder.stat().st_mtime >= photo.stat().st_mtime


def _reason(error: Exception) -> str | None:
    """Why a photo failed, where that is the photo's own matter; None where the next would fail as well."""
    if isinstance(error, ImageError):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "the model ran out of memory on this photo"
    return None
