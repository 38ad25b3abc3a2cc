"""Archives from the internet, read without trusting them: zip and tar in any compression, whole or in parts.

Nothing is unpacked here by a name that an archive gives: `read` hands out regular files one after the other, and whoever
takes them decides where they go. Links and devices are passed over; a name that leads out of the archive, a member or a
sum of members that is too large, too many members, a password and damage end the reading with an `ArchiveError`.
"""

from __future__ import annotations

import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

MAX_MEMBERS = 2_000_000  # the benchmark has about 80,000 files
MAX_MEMBER_BYTES = 2 * 2**30
MAX_TOTAL_BYTES = 2**40

_ENDINGS = r"\.(?:(zip)|tar\.(?:gz|bz2|xz)|tgz|tbz2|txz|tar)"
_PART = r"[._-]?(?:part)?[._-]?(\d{1,4}|[a-f][a-z])"  # .001, .part1; -aa, as the command split counts
_ARCHIVE = re.compile(rf"(.+?){_ENDINGS}(?:{_PART})?", re.IGNORECASE)
_FOREIGN = re.compile(r".+\.(?:7z|rar|tar\.zst|tzst)(?:\.\d+)?", re.IGNORECASE)
_SPANNED = re.compile(r"\.z\d\d", re.IGNORECASE)


_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, struct.error, UnicodeDecodeError,
)  # fmt: skip


class ArchiveError(ValueError):
    """An archive that cannot be unpacked, or must not be; the message names it and says why."""


@dataclass(frozen=True)
class Archive:
    """One archive: its name without the ending, and its files in order (several where it came in parts)."""

    name: str
    kind: Literal["zip", "tar"]
    parts: tuple[Path, ...]

    @property
    def title(self) -> str:
        more = f" and {len(self.parts) - 1} more parts" if len(self.parts) > 1 else ""
        return f"{self.parts[0].name}{more}"

    def state(self) -> list[list[int]]:
        """Sizes and times of its files: equal as long as nobody has changed them."""
        return [[s.st_size, s.st_mtime_ns] for s in (part.stat() for part in self.parts)]


@dataclass(frozen=True)
class Member:
    """A regular file in an archive: its path there with "/" between folders, its size in bytes, and its content."""

    path: str
    size: int
    file: IO[bytes]


def find_archives(root: Path, files: Iterable[Path]) -> tuple[list[Archive], list[Path], list[str]]:
    """Tell archives from other files.

    Args:
        root: `Archive.name` is relative to it.
        files: below `root`.

    Returns:
        the archives, the other files, and a sentence for each archive that cannot be read: it is of a kind that Python
        does not know, or a part of it is missing.
    """
    files = sorted(files)
    parts: dict[tuple[Path, Literal["zip", "tar"]], dict[str, Path]] = {}
    spanned = {f.with_suffix("") for f in files if _SPANNED.fullmatch(f.suffix)}
    others, problems = [], []
    for file in files:
        if file.with_suffix("") in spanned and (_SPANNED.fullmatch(file.suffix) or file.suffix.lower() == ".zip"):
            if file.suffix.lower() == ".zip":
                how = f"zip -s 0 {file.name} --out {file.stem}-joined.zip"
                problems.append(f"{file.name} goes over several files: join them with {how}, then remove them")
        elif _FOREIGN.fullmatch(file.name):
            problems.append(
                f"{file.name} is an archive of a kind that is not known here: unpack it by hand, beside itself"
            )
        elif match := _ARCHIVE.fullmatch(file.name):
            path = file.parent / match[1]
            parts.setdefault((path, "zip" if match[2] else "tar"), {})[(match[3] or "").lower()] = file
        else:
            others.append(file)
    archives = []
    for (path, kind), found in parts.items():
        try:
            # A whole archive beside parts is what they were joined to.
            ordered = (found[""],) if "" in found else _in_order(found)
        except ArchiveError as error:
            problems.append(str(error))
        else:
            archives.append(Archive(path.relative_to(root).as_posix(), kind, ordered))
    return archives, others, problems


def _in_order(parts: dict[str, Path]) -> tuple[Path, ...]:
    numbers = {int(part) if part.isdigit() else _letters(part): file for part, file in parts.items()}
    ordered = [numbers[n] for n in sorted(numbers)]
    gap = next((n for n in range(min(numbers), max(numbers)) if n not in numbers), None)
    if min(numbers) > 1 or gap is not None:
        which = f"the one before {ordered[0].name}" if gap is None else f"the one after {numbers[gap - 1].name}"
        raise ArchiveError(f"an archive in parts must have them all but {which} is missing")
    return tuple(ordered)


def _letters(part: str) -> int:
    number = 0  # as `split` counts: aa, ab, ...
    for letter in part:
        number = number * 26 + ord(letter) - ord("a")
    return number


def read(archive: Archive) -> Iterator[Member]:
    """The regular files of an archive, in its own order; each must be read before the next is asked for.

    Raises:
        ArchiveError: see the module. Damage may show only while a member is read: see `damage`.
    """
    with damage(archive), _open(archive) as file:
        members = _read_zip(archive, file) if archive.kind == "zip" else _read_tar(archive, file)
        total = 0
        for count, member in enumerate(members, 1):
            total += member.size
            if count > MAX_MEMBERS:
                raise ArchiveError(f"{archive.title} must hold at most {MAX_MEMBERS:,} files but holds more")
            if member.size > MAX_MEMBER_BYTES or total > MAX_TOTAL_BYTES:
                raise ArchiveError(
                    f"{archive.title} is too large when unpacked: {member.path!r} has {member.size:,} bytes, with all "
                    f"before it {total:,}"
                )
            yield member


def _read_zip(archive: Archive, file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as zipped:
        for info in zipped.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was made without Unix modes
            if info.is_dir() or kind not in (0, stat.S_IFREG):
                continue
            path = _checked(info.filename.replace("\\", "/"), archive)
            if info.flag_bits & 1:
                raise ArchiveError(f"{archive.title} must have no password but {path!r} has one")
            with zipped.open(info) as content:
                yield Member(path, info.file_size, content)


def _read_tar(archive: Archive, file: IO[bytes]) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r|*") as tar:
        for info in tar:
            path = _checked(info.name, archive)
            if not info.isreg():
                continue
            tarfile.data_filter(info, str(Path.cwd()))  # the standard library's own opinion of the member
            content = tar.extractfile(info)
            if content is not None:
                yield Member(path, info.size, content)


def _checked(path: str, archive: Archive) -> str:
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/") or "\0" in path:
        raise ArchiveError(f"{archive.title} is not to be trusted: it holds a file called {path!r}")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


@contextmanager
def damage(archive: Archive) -> Iterator[None]:
    """Turn what the standard library raises for a damaged archive into an `ArchiveError`."""
    try:
        yield
    except _DAMAGE as error:
        raise ArchiveError(f"{archive.title} is damaged, incomplete or no {archive.kind} ({_words(error)})") from error
    except OSError as error:
        if error.errno is not None:  # the disk's
            raise
        raise ArchiveError(f"{archive.title} is damaged ({_words(error)})") from error  # bzip2's
    except NotImplementedError as error:
        raise ArchiveError(f"{archive.title} is compressed in a way that Python cannot read ({error})") from error


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _open(archive: Archive) -> Iterator[IO[bytes]]:
    file = archive.parts[0].open("rb") if len(archive.parts) == 1 else io.BufferedReader(_Joined(archive.parts), 2**20)
    with file:
        yield file


class _Joined(io.RawIOBase):
    """Several files read as one, without joining them on disk."""

    def __init__(self, parts: Iterable[Path]):
        self._files = [part.open("rb") for part in parts]
        self._starts = [0]
        for file in self._files:
            self._starts.append(self._starts[-1] + file.seek(0, io.SEEK_END))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence])
        return self._at

    def readinto(self, buffer) -> int:
        for i, file in enumerate(self._files):
            if self._starts[i] <= self._at < self._starts[i + 1]:
                file.seek(self._at - self._starts[i])
                count = file.readinto(buffer)
                self._at += count
                return count
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
