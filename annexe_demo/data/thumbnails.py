"""Small versions of photos, made when they are first looked at and kept in a folder."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageDraw

logger = logging.getLogger(__name__)

THUMBNAIL_SIZE = (320, 180)  # width, height: 16 : 9, as the benchmark's photos
_QUALITY = 82
_THREADS = 4
_GREY = (128, 128, 128)


class Thumbnails:
    """Thumbnails of photos as JPEG files of at most `THUMBNAIL_SIZE`.

    A thumbnail carries the time of its photo, so that a photo that was replaced gets a new one.

    Args:
        folder: where they are kept; made when needed. Where it cannot be written to, a temporary one takes its place.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            logger.warning("thumbnails are not kept: %s", error)
            self.folder = Path(tempfile.mkdtemp(prefix="annexe-thumbnails-"))

    def paths(self, photos: Sequence[Path | None]) -> list[Path]:
        """The thumbnail of each photo. One that is missing or damaged gets a grey picture with a cross."""
        with ThreadPoolExecutor(_THREADS) as pool:  # decoding and files leave the interpreter free
            return list(pool.map(self._path, photos))

    def _path(self, photo: Path | None) -> Path:
        if photo is None:
            return self._missing()
        target = self.folder / f"{photo.stem}.jpg"
        try:
            changed = photo.stat().st_mtime_ns
            if target.is_file() and target.stat().st_mtime_ns == changed:
                return target
            with Image.open(photo) as image:
                image.draft("RGB", THUMBNAIL_SIZE)  # a JPEG is decoded at an eighth of its size at little cost
                # Without the EXIF turn, as `Sample.load_image`: masks lie over the pixels as they are stored.
                small = image.convert("RGB")
            small.thumbnail(THUMBNAIL_SIZE)
            _save(small, target, changed)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            logger.warning("no thumbnail of %s: %s", photo, error)
            return self._missing()
        return target

    def _missing(self) -> Path:
        target = self.folder / "missing" / "missing.png"
        if not target.is_file():
            target.parent.mkdir(exist_ok=True)
            picture = Image.new("RGB", THUMBNAIL_SIZE, _GREY)
            draw = ImageDraw.Draw(picture)
            width, height = THUMBNAIL_SIZE
            draw.line((width // 2 - 30, height // 2 - 30, width // 2 + 30, height // 2 + 30), (235, 235, 235), 6)
            draw.line((width // 2 - 30, height // 2 + 30, width // 2 + 30, height // 2 - 30), (235, 235, 235), 6)
            _save(picture, target)
        return target


def _save(picture: Image.Image, target: Path, changed_ns: int | None = None) -> None:
    """Write `picture` so that the file appears whole."""
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-", suffix=target.suffix)
    os.close(descriptor)
    try:
        picture.save(temporary, quality=_QUALITY)
        if changed_ns is not None:
            os.utime(temporary, ns=(changed_ns, changed_ns))
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
