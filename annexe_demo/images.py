"""Every way a picture comes in: a path, bytes, a Pillow image or an array; out comes one upright RGB array.

Pixels are decoded only after the header was read and its size found acceptable, so a small file cannot unfold into
gigabytes. Whatever is wrong with a picture is told in an `ImageError`, whose message is a sentence for the person who sent it.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_BYTES = 30 * 1024 * 1024
MAX_PIXELS = 50_000_000
MIN_SIDE = 16
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FORMATS_IN_WORDS = "JPEG, PNG, WebP, BMP, GIF or TIFF"

ImageSource = str | os.PathLike | bytes | bytearray | memoryview | Image.Image | np.ndarray

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Major brands of the ISO base media container (ISO/IEC 23008-12, AVIF 1.1) that hold still pictures.
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


class ImageError(ValueError):
    """A picture cannot be used; the message says why, in a sentence that may be shown as it is."""


def load_image(source: ImageSource) -> np.ndarray:
    """Load a picture, apply its EXIF orientation and convert it to RGB.

    Transparent pixels are composited on white; of an animation the first frame is taken.

    Args:
        source: path of a file, the file's content, a Pillow image, or an array of shape (H, W), (H, W, 1), (H, W, 3)
            or (H, W, 4): uint8, any integer type holding 0 to 255, uint16 (full range), bool, or float from 0 to 1.

    Returns:
        uint8 array of shape (H, W, 3), RGB, C-contiguous and not shared with `source`.

    Raises:
        ImageError: missing, unreadable, damaged, too large or too small.
        TypeError: `source` is none of the above.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source))
    if isinstance(source, (str, os.PathLike)):
        return _from_bytes(_read_file(Path(source)))
    raise TypeError(f"image must be a path, bytes, a PIL image or a NumPy array but got {type(source).__name__}")


def _read_file(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ImageError(f"Expected a picture but {str(path)!r} is a folder.")
        if not path.exists():
            raise ImageError(f"There is no file {str(path)!r}.")
        _check_bytes(path.stat().st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"The file {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from error


def _from_bytes(data: bytes) -> np.ndarray:
    _check_bytes(len(data))
    if not data:
        raise ImageError("The file is empty.")
    try:
        # Pillow warns above 89 megapixels, which are refused below, and of corrupt EXIF, which is no obstacle.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(f"The picture is too large: at most {MAX_PIXELS // 10**6} megapixels are accepted.") from error
    except UnidentifiedImageError as error:
        raise ImageError(_why_unknown(data)) from error
    except Exception as error:  # the header of a crafted or cut file: struct.error, SyntaxError, EOFError, ...
        raise ImageError(_damaged(error)) from error
    with image:
        return _from_pillow(image)


def _from_pillow(image: Image.Image) -> np.ndarray:
    _check_size(*image.size)
    try:
        rgb = _to_rgb(image)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        raise ImageError(_damaged(error)) from error
    orientation = _orientation(image)
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    return np.array(rgb, dtype=np.uint8, order="C")


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    if image.mode.startswith("I;16"):
        return Image.fromarray(_narrow_uint16(np.asarray(image).astype(np.uint16))).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretch(np.asarray(image, dtype=np.float64))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "Corrupt EXIF data"
            return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken EXIF says nothing about the pixels: show the picture as it is stored
        return 1


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"Image array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) but got shape {array.shape}.")
    _check_size(array.shape[1], array.shape[0])
    if array.dtype == np.uint16:
        pixels = _narrow_uint16(array)
    elif array.dtype == np.bool_:
        pixels = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also false for NaN
            raise ImageError(f"Float image array must be 0 to 1 but got {low:g} to {high:g}.")
        pixels = np.round(array * 255.0).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.integer):
        if array.dtype != np.uint8 and (array.min() < 0 or array.max() > 255):
            raise ImageError(f"Integer image array must be 0 to 255 but got {array.min()} to {array.max()}.")
        pixels = array.astype(np.uint8)
    else:
        raise ImageError(f"Image array must hold numbers but got dtype {array.dtype}.")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        return np.array(_to_rgb(Image.fromarray(np.ascontiguousarray(pixels))))
    return np.array(pixels, order="C")


def _narrow_uint16(array: np.ndarray) -> np.ndarray:
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _stretch(values: np.ndarray) -> np.ndarray:
    """32-bit grey to uint8: 0 to 1 and 0 to 65535 by their usual meaning, any other range from its minimum to its maximum."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and 255 < high <= 65535:
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    return np.round((values - low) / max(high - low, 1e-12) * 255).astype(np.uint8)


def _check_bytes(count: int) -> None:
    if count > MAX_BYTES:
        raise ImageError(
            f"The file is too large: at most {MAX_BYTES // 2**20} MB are accepted but got {count / 2**20:.1f} MB."
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The picture is too large: at most {MAX_PIXELS // 10**6} megapixels are accepted "
            f"but got {width} x {height} ({width * height / 1e6:.0f} megapixels)."
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"The picture is too small: each side must be at least {MIN_SIDE} pixels but got {width} x {height}."
        )


def _why_unknown(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        name = "HEIC" if data[8:12] in _HEIC_BRANDS else "AVIF" if data[8:12] in _AVIF_BRANDS else None
        if name:
            return f"{name} pictures cannot be read. Please convert the photo to JPEG or PNG and try again."
    return f"This file is not a picture that can be read. Please use {FORMATS_IN_WORDS}."


def _damaged(error: Exception) -> str:
    detail = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return f"The picture is damaged or incomplete ({detail}). Please export or send it again."
