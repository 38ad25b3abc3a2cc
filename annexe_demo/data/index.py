"""Find pictures in a folder of Ego-IRGBench's layout, however many there are.

`DatasetIndex` lists the pictures at once, from the names of their query files, and reads what the files say in the
background. That is done once: the result is an SQLite file in the user's cache folder, named after the folder's path and
the times of its last changes, and the next start opens it. The dataset's own folder is never written to.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import sqlite3
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from annexe_demo.data.egoirgbench import KINDS, SPLITS, DatasetError, EgoIRGBench, Sample
from annexe_demo.data.language import parse_interaction

logger = logging.getLogger(__name__)

PAGE_SIZE = 24
MAX_PAGE_SIZE = 200
MAX_SEARCH_CHARACTERS = 200
NO_CATEGORY = "none"
HANDS = ("left", "right", "both", "none")

Order = Literal["name", "worst", "best"]
ORDERS: tuple[str, ...] = get_args(Order)

_VERSION = 1  # of the index file; another one is built anew
_BATCH = 500  # pictures in one transaction, and between two looks at whether to stop
_WORD = re.compile(r"\w+")

_SCHEMA = """
CREATE TABLE picture (id INTEGER PRIMARY KEY, split TEXT, name TEXT, category TEXT, hand TEXT, caption TEXT, queries INT);
CREATE TABLE query_group (id INTEGER PRIMARY KEY, picture INTEGER, kind TEXT, with_mask INT);
CREATE VIRTUAL TABLE words USING fts5(text, content='', detail=none, columnsize=0);
CREATE TABLE problem (split TEXT, name TEXT, message TEXT);
"""
_INDICES = """
CREATE UNIQUE INDEX picture_name ON picture (name, split);
CREATE INDEX group_picture ON query_group (picture, kind, with_mask);
"""


@dataclass(frozen=True)
class Filters:
    """Which pictures to list; None and "" leave a property open.

    ``kind``, ``with_mask`` and ``text`` speak of a picture's query groups: one group must fit all three.

    Attributes:
        split: "train", "val" or "test".
        category: category of the object in interaction, or "none".
        hand: the hands in interaction: "left", "right", "both" or "none".
        kind: "single", "multi", "no-target" or "chat".
        with_mask: whether the answer has masks.
        text: words that all occur, as they stand or as the beginning of a word, in the analysis, the answer or the
            queries of one group; or a part of the picture's name.
    """

    split: str | None = None
    category: str | None = None
    hand: str | None = None
    kind: str | None = None
    with_mask: bool | None = None
    text: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("split", SPLITS), ("hand", HANDS), ("kind", KINDS)):
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)} but got {value!r}")
        if len(self.text) > MAX_SEARCH_CHARACTERS:
            raise ValueError(f"text must be at most {MAX_SEARCH_CHARACTERS} characters but got {len(self.text):,}")

    @property
    def empty(self) -> bool:
        """Every picture fits."""
        return not self.text.strip() and all(
            v is None for v in (self.split, self.category, self.hand, self.kind, self.with_mask)
        )


@dataclass(frozen=True)
class Row:
    """One picture in a list. ``category``, ``hand`` and ``queries`` are None until the index is built; ``iou``, 0 to 1,
    is None where nothing was predicted."""

    split: str
    name: str
    category: str | None = None
    hand: str | None = None
    caption: str = ""
    queries: int | None = None
    iou: float | None = None


@dataclass(frozen=True)
class Page:
    """A part of a list. ``number`` counts from 0."""

    rows: tuple[Row, ...]
    total: int
    number: int
    size: int

    @property
    def count(self) -> int:
        """Number of pages, at least 1."""
        return max(1, -(-self.total // self.size))


@dataclass(frozen=True)
class Progress:
    """How far the index is. ``error`` says, in a sentence, why it will not be finished."""

    done: int
    total: int
    ready: bool
    unreadable: int = 0
    error: str | None = None


@dataclass
class _Work:
    """What the thread that builds shares with the others."""

    done: int = 0
    unreadable: int = 0
    error: str | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)


class DatasetIndex:
    """The pictures of one folder.

    Args:
        root: folder that holds ``RGB``, ``mask`` and ``dataset_split``.
        ious: predicted IoU of pictures by name, 0 to 1, to sort by.
        cache_dir: where the index file is kept; by default `cache_folder`.

    Raises:
        DatasetError: the folder does not exist, or has none of the layout's splits.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        ious: Mapping[str, float] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DatasetError(
                f"expected a folder in the layout of Ego-IRGBench at {str(self.root)!r}, but there is none"
            )
        self.splits = tuple(s for s in SPLITS if (self.root / "dataset_split" / s).is_dir())
        if not self.splits:
            raise DatasetError(
                f"expected a folder in the layout of Ego-IRGBench at {str(self.root)!r}, "
                f"but it has none of {', '.join(f'dataset_split/{s}' for s in SPLITS)}"
            )
        self.ious = dict(ious or {})
        self.cache_dir = Path(cache_dir) if cache_dir is not None else cache_folder(self.root)
        self._datasets: dict[str, EgoIRGBench] = {}
        self._listing: list[tuple[str, str]] | None = None
        self._known: frozenset[tuple[str, str]] = frozenset()
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._work: _Work | None = None

    # ---- building

    def start(self) -> None:
        """List the pictures, and build the index in the background unless it is there already. Returns at once."""
        with self._lock:
            if self._work is not None:
                return
            self._datasets = {split: EgoIRGBench(self.root, split) for split in self.splits}
            listing = [(split, name) for split, dataset in self._datasets.items() for name in dataset.names]
            self._listing = sorted(listing, key=lambda pair: (pair[1], pair[0]))
            self._known = frozenset(listing)
            self._work = work = _Work()
            path = self.cache_dir / f"index-{self._fingerprint()}.sqlite"
            if _is_index(path):
                self._path = path
                work.done = len(listing)
                work.unreadable = self._count_problems()
                work.finished.set()
                return
        threading.Thread(target=self._build, args=(path, work), name="dataset-index", daemon=True).start()

    def wait(self, timeout: float | None = None) -> Progress:
        """Wait until the index is built, at most `timeout` seconds."""
        self.start()
        self._work.finished.wait(timeout)
        return self.progress

    def close(self) -> None:
        """Stop building."""
        if self._work is not None:
            self._work.stop.set()

    @property
    def progress(self) -> Progress:
        total = len(self._listing or ())
        if (work := self._work) is None:
            return Progress(0, total, False)
        return Progress(work.done, total, self._path is not None, work.unreadable, work.error)

    def _fingerprint(self) -> str:
        """Changes when a file is added to the dataset, removed or replaced."""
        facts = [str(_VERSION)]
        for folder in [*(self.root / "dataset_split" / s for s in self.splits), self.root / "facts"]:
            with contextlib.suppress(OSError):
                facts.append(f"{folder.name} {folder.stat().st_mtime_ns}")
        facts.append(str(len(self._listing)))
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]

    def _build(self, path: Path, work: _Work) -> None:
        try:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = _temporary_beside(path)
            except OSError as error:  # a home that cannot be written to: an index for this run only
                logger.warning("the index is not kept: %s", error)
                path = Path(tempfile.mkdtemp(prefix="annexe-index-")) / path.name
                temporary = _temporary_beside(path)
            try:
                self._write(temporary, work)
                if work.stop.is_set():
                    return
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            for old in path.parent.glob("index-*.sqlite"):
                if old != path:
                    old.unlink(missing_ok=True)
            self._path = path
        except Exception as error:  # the list stays usable without its filters; the visitor is told why
            logger.exception("the index could not be built")
            work.error = f"The index could not be built: {error}"
        finally:
            work.finished.set()

    def _write(self, path: Path, work: _Work) -> None:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
            for number, (split, name) in enumerate(self._listing, 1):
                try:
                    _insert(db, number, split, self._datasets[split].load(name))
                except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
                    db.execute("INSERT INTO problem VALUES (?, ?, ?)", (split, name, str(error)))
                    work.unreadable += 1
                work.done = number
                time.sleep(0)  # whoever serves a page meanwhile goes first
                if number % _BATCH == 0:
                    if work.stop.is_set():
                        return
                    db.commit()
            db.executescript(_INDICES + f"PRAGMA user_version = {_VERSION};")
            db.commit()

    # ---- asking

    def query(
        self, filters: Filters | None = None, order: Order = "name", page: int = 0, size: int = PAGE_SIZE
    ) -> Page:
        """One page of the pictures that fit.

        Before the index is built, every picture in the order of the names is answered from their listing; anything else
        waits.

        Args:
            filters: which pictures; all without.
            order: "name", "worst" or "best": by predicted IoU, pictures without a prediction last.
            page: from 0; a page after the last gives the last one.
            size: rows on a page, 1 to `MAX_PAGE_SIZE`.

        Raises:
            ValueError: an argument is out of its range.
            DatasetError: the index is needed and cannot be built.
        """
        filters = filters or Filters()
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)} but got {order!r}")
        if not 1 <= size <= MAX_PAGE_SIZE:
            raise ValueError(f"size must be 1 to {MAX_PAGE_SIZE} but got {size}")
        if page < 0:
            raise ValueError(f"page must be 0 or more but got {page}")
        self.start()
        if filters.empty and order == "name" and self._path is None:
            total = len(self._listing)
            page = min(page, max(0, -(-total // size) - 1))
            chosen = self._listing[page * size : (page + 1) * size]
            return Page(tuple(Row(s, n, iou=self.ious.get(n)) for s, n in chosen), total, page, size)
        where, values = _where(filters)
        with contextlib.closing(self._connect()) as db:
            total = db.execute(f"SELECT COUNT(*) FROM picture p{where}", values).fetchone()[0]
            page = min(page, max(0, -(-total // size) - 1))
            rows = db.execute(
                "SELECT p.split, p.name, p.category, p.hand, p.caption, p.queries, iou(p.name) AS iou "
                f"FROM picture p{where} ORDER BY {_ORDER_BY[order]} LIMIT ? OFFSET ?",
                (*values, size, page * size),
            ).fetchall()
        return Page(tuple(Row(*row) for row in rows), total, page, size)

    def categories(self) -> list[str]:
        """Categories that occur, in alphabetical order; waits for the index."""
        with contextlib.closing(self._connect()) as db:
            return [row[0] for row in db.execute("SELECT DISTINCT category FROM picture ORDER BY category")]

    def problems(self, limit: int = 20) -> list[str]:
        """What is wrong with the first pictures that could not be read; waits for the index."""
        with contextlib.closing(self._connect()) as db:
            return [row[0] for row in db.execute("SELECT message FROM problem LIMIT ?", (limit,))]

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Whether there is a picture of this (split, name)."""
        self.start()
        return tuple(key) in self._known

    def load(self, split: str, name: str) -> Sample:
        """One picture with its queries.

        Raises:
            DatasetError: there is no such picture, or one of its files is missing or malformed.
        """
        if (split, name) not in self:  # also what keeps a name from leading out of the folder
            raise DatasetError(f"expected a picture of split {split!r} called {name!r}, but there is none")
        return self._datasets[split].load(name)

    def photo_path(self, split: str, name: str) -> Path | None:
        """The file of a picture's photo; None where it is missing."""
        if (split, name) not in self:
            return None
        return next((p for s in (".jpg", ".jpeg", ".png") if (p := self.root / "RGB" / f"{name}{s}").is_file()), None)

    def _connect(self) -> sqlite3.Connection:
        progress = self.wait()
        if self._path is None:
            raise DatasetError(progress.error or "The index could not be built.")
        return self._open(self._path)

    def _open(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        db.create_function("iou", 1, self.ious.get, deterministic=True)
        return db

    def _count_problems(self) -> int:
        with contextlib.closing(self._open(self._path)) as db:
            return db.execute("SELECT COUNT(*) FROM problem").fetchone()[0]


_ORDER_BY = {
    "name": "p.name, p.split",
    "worst": "iou IS NULL, iou, p.name, p.split",
    "best": "iou IS NULL, iou DESC, p.name, p.split",
}


def cache_folder(root: str | os.PathLike[str]) -> Path:
    """Where files about the dataset at `root` are kept: a folder of its own in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "annexe-demo" / hashlib.sha256(str(Path(root).resolve()).encode()).hexdigest()[:16]


def interaction_of(sample: Sample) -> tuple[str, str]:
    """(category, hand) of a picture's interaction, as `Filters` words them: from its facts, else from its analysis."""
    if sample.facts is not None:
        hands = {h.side for h in sample.facts.hands if h.grasp is not None}
        category = sample.facts.active.category if sample.facts.active else None
    else:
        said = parse_interaction(sample.groups[0].caption if sample.groups else "")
        hands, category = set(said.hands), said.category
    return category or NO_CATEGORY, "both" if len(hands) == 2 else next(iter(hands), "none")


def _insert(db: sqlite3.Connection, number: int, split: str, sample: Sample) -> None:
    category, hand = interaction_of(sample)
    caption = sample.groups[0].caption if sample.groups else ""
    queries = sum(len(g.questions) for g in sample.groups)
    db.execute(
        "INSERT INTO picture VALUES (?, ?, ?, ?, ?, ?, ?)",
        (number, split, sample.name, category, hand, caption, queries),
    )
    for group in sample.groups:
        cursor = db.execute(
            "INSERT INTO query_group (picture, kind, with_mask) VALUES (?, ?, ?)",
            (number, group.kind, int(group.with_mask)),
        )
        text = " ".join((group.caption, group.answer, *(q.query for q in group.questions)))
        # A word counts once: `words` only tells whether it occurs.
        words = " ".join(dict.fromkeys(_WORD.findall(text.lower())))
        db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (cursor.lastrowid, words))


def _where(filters: Filters) -> tuple[str, list]:
    """The condition on ``picture p`` and its values."""
    fits: list[tuple[str, list]] = []
    for column in ("split", "category", "hand"):
        if (value := getattr(filters, column)) is not None:
            fits.append((f"p.{column} = ?", [value]))
    group = []
    if filters.kind is not None:
        group.append(("g.kind = ?", [filters.kind]))
    if filters.with_mask is not None:
        group.append(("g.with_mask = ?", [int(filters.with_mask)]))
    text = filters.text.strip().lower()
    if text:
        ways = [_join("AND", [("instr(lower(p.name), ?) > 0", [text]), *_has_group(group)])]
        if words := _WORD.findall(text):
            match = " AND ".join(f'"{w}"*' for w in words)
            ways += _has_group([*group, ("g.id IN (SELECT rowid FROM words WHERE words MATCH ?)", [match])])
        fits.append(_join("OR", ways))
    else:
        fits += _has_group(group)
    condition, values = _join("AND", fits)
    return f" WHERE {condition}" if fits else "", values


def _has_group(conditions: list[tuple[str, list]]) -> list[tuple[str, list]]:
    """That one query group of the picture fits all `conditions`; nothing where there are none."""
    if not conditions:
        return []
    condition, values = _join("AND", conditions)
    return [(f"p.id IN (SELECT g.picture FROM query_group g WHERE {condition})", values)]


def _join(operator: str, conditions: list[tuple[str, list]]) -> tuple[str, list]:
    return f"({f' {operator} '.join(c for c, _ in conditions)})", [v for _, values in conditions for v in values]


def _is_index(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return db.execute("PRAGMA user_version").fetchone()[0] == _VERSION
    except sqlite3.Error:
        return False


def _temporary_beside(path: Path) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".index-")
    os.close(descriptor)
    return Path(name)
