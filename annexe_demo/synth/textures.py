"""Procedural textures: wood, cloth, tiles, print and pictures, as uint8 sRGB arrays that the renderer can cache."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np

Color = Sequence[float] | np.ndarray

# Full range of an sRGB value; colours in this module are sRGB, 0 to 255.
_LETTERS = list("ABCDEFGHIJKLMNOPRSTUVaeiouncdlmrst")


def fractal_noise(rng: np.random.Generator, size: int, octaves: int = 5, base: int = 4) -> np.ndarray:
    """(size, size) float32 noise, 0 to 1: ``octaves`` layers, the coarsest of ``base`` cells."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = rng.random((base * 2**octave,) * 2).astype(np.float32)
        total += 0.55**octave * cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)
    return (total - total.min()) / np.ptp(total)


def _mix(c1: np.ndarray, c2: np.ndarray, amount: np.ndarray) -> np.ndarray:
    return c1 * (1 - amount[..., None]) + c2 * amount[..., None]


def _coordinates(size: int) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) of pixel centres, each (size, size), 0 to 1."""
    y, x = np.mgrid[:size, :size] / size
    return y, x


def _wood(rng, c1, c2, size):
    y, x = _coordinates(size)
    warp = fractal_noise(rng, size, octaves=3, base=3)
    # Fibres run along x: noise that is long in x and short in y.
    fibres = cv2.resize(rng.random((size // 2, 8)).astype(np.float32), (size, size))
    rings = 0.5 + 0.25 * np.sin(2 * np.pi * (y * rng.integers(4, 9) + 1.2 * warp)) + 0.35 * (fibres - 0.5)
    image = _mix(c1, c1 * rng.uniform(0.6, 0.85), np.clip(rings, 0, 1))
    planks = rng.integers(2, 6)
    plank_tone = rng.uniform(0.92, 1.06, planks)[(y * planks).astype(int)]
    image = image * plank_tone[..., None]
    image[np.abs((y * planks) % 1) < 0.012] *= 0.6
    return image


def _check(rng, c1, c2, size):
    y, x = _coordinates(size)
    count = 2 * rng.integers(3, 9)
    return _mix(c1, c2, (np.floor(x * count) + np.floor(y * count)) % 2)


def _plaid(rng, c1, c2, size):
    y, x = _coordinates(size)
    count, width = rng.integers(3, 10), rng.uniform(0.3, 0.6)
    amount = 0.5 * ((x * count) % 1 < width) + 0.5 * ((y * count) % 1 < width)
    image = _mix(c1, c2, amount)
    if rng.random() < 0.5:  # a thin line of a third colour, as in tartan
        thin = np.minimum(np.abs((x * count) % 1 - 0.8), np.abs((y * count) % 1 - 0.8)) < 0.03
        image[thin] = 0.5 * image[thin] + 0.5 * rng.uniform(20, 250, 3)
    return image


def _stripe(rng, c1, c2, size):
    y, x = _coordinates(size)
    across = x if rng.random() < 0.5 else y
    return _mix(c1, c2, ((across * rng.integers(3, 12)) % 1 < rng.uniform(0.2, 0.6)).astype(float))


def _tile(rng, c1, c2, size):
    y, x = _coordinates(size)
    count = rng.integers(2, 5)
    tone = (0.93 + 0.07 * rng.random((count, count)))[(y * count).astype(int), (x * count).astype(int)]
    image = c1 * tone[..., None]
    joint = np.maximum(np.abs((x * count) % 1 - 0.5), np.abs((y * count) % 1 - 0.5)) > 0.485
    image[joint] *= rng.uniform(0.55, 0.8)
    return image


def _floral(rng, c1, c2, size):
    image = np.ones((size, size, 3)) * c1
    for _ in range(rng.integers(15, 60)):
        x, y = rng.integers(0, size, 2)
        color = tuple(float(v) for v in (c2 if rng.random() < 0.6 else rng.uniform(20, 250, 3)))
        petals, reach = rng.integers(3, 7), rng.uniform(8, 34) * size / 512
        for k in range(petals):
            angle = 2 * np.pi * k / petals
            center = (int(x + reach * np.cos(angle)), int(y + reach * np.sin(angle)))
            axes = (int(reach * 0.7) + 1, int(reach * 0.35) + 1)
            cv2.ellipse(image, center, axes, np.degrees(angle), 0, 360, color, -1)
    return image


def _speckle(rng, c1, c2, size):
    grain = cv2.GaussianBlur(rng.random((size, size)).astype(np.float32), (0, 0), rng.uniform(0.8, 1.6))
    threshold = np.quantile(grain, rng.uniform(0.75, 0.95))
    return _mix(c1, c1 * rng.uniform(0.45, 0.8), (grain > threshold).astype(float))


def _noise(rng, c1, c2, size):
    return _mix(c1, 0.5 * (c1 + c2), fractal_noise(rng, size) ** 1.5)


def _marble(rng, c1, c2, size):
    warp = fractal_noise(rng, size, octaves=6, base=3)
    y, x = _coordinates(size)
    angle = rng.uniform(0, np.pi)
    wave = np.sin(2 * np.pi * ((x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(1, 3) + 2.5 * warp))
    veins = (1 - np.abs(wave)) ** rng.uniform(4, 10)
    cloud = fractal_noise(rng, size, octaves=3)
    vein_color = c1 * 0.45 if c1.mean() > 110 else np.minimum(c1 + 110, 240)
    return _mix(_mix(c1, c1 * 0.88, cloud), vein_color, 0.75 * veins)


def _knit(rng, c1, c2, size):
    y, x = _coordinates(size)
    count = rng.integers(28, 56)
    column = (x * count) % 1
    # Every stitch is a V: the two legs lean towards the middle of the column.
    leg = (y * count + 0.8 * np.abs(column - 0.5)) % 1
    shade = 0.72 + 0.28 * np.sin(np.pi * leg) * (0.6 + 0.4 * np.abs(np.sin(2 * np.pi * column)))
    image = np.ones((size, size, 3)) * c1
    if rng.random() < 0.4:
        band = (y * rng.integers(2, 6)) % 1 < rng.uniform(0.15, 0.4)
        image[band] = c2
    return image * shade[..., None]


def _carpet(rng, c1, c2, size):
    pile = cv2.GaussianBlur(rng.random((size, size)).astype(np.float32), (0, 0), 1.0)
    pile = (pile - pile.mean()) / pile.std()
    image = _mix(c1, c2, np.clip(fractal_noise(rng, size, octaves=3) * 0.5, 0, 1))
    if rng.random() < 0.4:  # a border, as rugs have
        y, x = _coordinates(size)
        edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
        image[(edge > 0.05) & (edge < 0.1)] = c2
    return image * (1 + 0.13 * pile[..., None])


def _brick(rng, c1, c2, size):
    y, x = _coordinates(size)
    rows, columns = rng.integers(6, 12), rng.integers(3, 6)
    row = (y * rows).astype(int)
    shifted = (x * columns + 0.5 * (row % 2)) % columns
    tone = rng.uniform(0.78, 1.12, (rows, columns))[row, shifted.astype(int)]
    joint = (np.abs((y * rows) % 1 - 0.5) > 0.44) | (np.abs(shifted % 1 - 0.5) > 0.475)
    image = c1 * tone[..., None] * (0.9 + 0.2 * fractal_noise(rng, size, base=16)[..., None])
    image[joint] = np.array([185, 180, 172]) * rng.uniform(0.7, 1.1)
    return image


def _books(rng, c1, c2, size):
    """Book spines side by side on the shelves of a bookcase, whose frame has the first colour."""
    image = np.ones((size, size, 3)) * c1 * 0.25
    shelves = rng.integers(2, 4)
    shelf_height = size // shelves
    board = max(size // 45, 2)
    for shelf in range(shelves):
        bottom = (shelf + 1) * shelf_height - board
        x = 0
        while x < size:
            width = int(rng.uniform(0.018, 0.06) * size) + 1
            top = bottom - int(shelf_height * rng.uniform(0.55, 0.9))
            color = rng.uniform(20, 235, 3)
            if rng.random() < 0.5:
                color = 0.5 * color + 0.5 * color.mean()
            if rng.random() < 0.93:  # otherwise a gap
                image[top:bottom, x : x + width] = color
                image[top:bottom, x : x + max(width // 8, 1)] *= 0.6
                mark = top + int((bottom - top) * rng.uniform(0.1, 0.7))
                image[mark : mark + int(shelf_height * 0.12), x + width // 4 : x + 3 * width // 4 + 1] = 255 - color
            x += width
        image[bottom : bottom + board] = c1
    return image


def _blobs(rng, c1, c2, size):
    """A picture out of focus: a horizon, soft shapes and light; what posters, photos and screens show from afar."""
    y, _ = _coordinates(size)
    sky, ground = (rng.uniform(30, 245, 3) for _ in range(2))
    horizon = rng.uniform(0.3, 0.8)
    image = _mix(c1 * 0.5 + sky * 0.5, sky, np.clip(y / horizon, 0, 1))
    image[y > horizon] = 0.7 * ground + 0.3 * c2
    for _ in range(rng.integers(4, 14)):
        center = tuple(int(v) for v in rng.integers(0, size, 2))
        axes = tuple(int(v) for v in rng.uniform(0.03, 0.22, 2) * size + 1)
        color = tuple(float(v) for v in (c2 if rng.random() < 0.3 else rng.uniform(15, 250, 3)))
        cv2.ellipse(image, center, axes, float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), size * rng.uniform(0.002, 0.012))


def _write(rng, image, box, color, scale):
    """A word at a random place in ``box`` (x0, y0, x1, y1)."""
    word = "".join(rng.choice(_LETTERS, rng.integers(2, 9)))
    x0, y0, x1, y1 = box
    thickness = max(int(scale * rng.uniform(1.2, 3)), 1)
    (width, height), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x = int(rng.integers(x0, max(x1 - width, x0 + 1)))
    y = int(rng.integers(min(y0 + height, y1), y1 + 1))
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    stencil = np.zeros(image.shape[:2], np.uint8)  # OpenCV 5 writes on 8-bit pictures only
    cv2.putText(stencil, word, (x, y), font, scale, 255, thickness, cv2.LINE_AA)
    image += (np.asarray(color, float) - image) * (stencil[..., None] / 255)


def _label(rng, c1, c2, size):
    """Packaging: a band of the second colour, with print, on the first, which stays the larger."""
    image = np.ones((size, size, 3)) * c1
    top = int(size * rng.uniform(0.3, 0.5))
    bottom = top + int(size * rng.uniform(0.18, 0.34))
    image[top:bottom] = c2
    ink = np.full(3, 20.0) if np.mean(c2) > 120 else np.full(3, 240.0)
    for repeat in range(3):  # around a bottle, so that some print shows from every side
        left, right = repeat * size // 3, (repeat + 1) * size // 3
        if rng.random() < 0.5:
            center = (int(rng.uniform(left, right)), int(rng.uniform(top, bottom)))
            cv2.circle(image, center, int(size * rng.uniform(0.03, 0.08)), tuple(rng.uniform(10, 250, 3)), -1)
        for _ in range(rng.integers(2, 5)):
            color = ink if rng.random() < 0.6 else rng.uniform(0, 255, 3)
            _write(rng, image, (left, top, right, bottom), color, size / 512 * rng.uniform(0.6, 1.8))
    return image


def _poster(rng, c1, c2, size):
    """A cover: a picture or a plain ground, with a title."""
    image = _blobs(rng, c1, c2, size) if rng.random() < 0.6 else _mix(c1, c2, 0.3 * _coordinates(size)[0])
    if rng.random() < 0.5:
        margin = int(size * rng.uniform(0.03, 0.1))
        frame = np.ones((size, size, 3)) * c1
        frame[margin:-margin, margin:-margin] = image[margin:-margin, margin:-margin]
        image = frame
    for _ in range(rng.integers(1, 5)):
        color = rng.choice([15.0, 245.0]) * np.ones(3) if rng.random() < 0.6 else rng.uniform(0, 255, 3)
        _write(rng, image, (size // 12, 0, size, size - 8), color, size / 512 * rng.uniform(0.7, 3))
    return image


def _text(rng, c1, c2, size):
    """A printed page: lines of words in the second colour, and now and then a figure."""
    image = np.ones((size, size, 3)) * c1
    margin, step = int(size * rng.uniform(0.07, 0.12)), max(int(size * rng.uniform(0.022, 0.04)), 3)
    ink = 0.25 * c1 + 0.75 * c2
    y = margin
    while y < size - margin:
        if rng.random() < 0.06:
            height = int(size * rng.uniform(0.1, 0.2))
            image[y : y + height, margin:-margin] = 0.5 * c1 + 0.5 * rng.uniform(40, 230, 3)
            y += height + step
            continue
        end = size - margin if rng.random() < 0.8 else int(size * rng.uniform(0.3, 0.8))
        x = margin
        while x < end:
            width = int(size * rng.uniform(0.015, 0.08))
            image[y : y + max(step // 2, 1), x : min(x + width, end)] = ink
            x += width + max(size // 90, 2)
        y += step
    return image


_MAKERS: dict[str, Callable[[np.random.Generator, np.ndarray, np.ndarray, int], np.ndarray]] = {
    "wood": _wood,
    "check": _check,
    "plaid": _plaid,
    "stripe": _stripe,
    "tile": _tile,
    "floral": _floral,
    "speckle": _speckle,
    "noise": _noise,
    "marble": _marble,
    "knit": _knit,
    "carpet": _carpet,
    "brick": _brick,
    "books": _books,
    "photo": _blobs,
    "poster": _poster,
    "label": _label,
    "text": _text,
}

KINDS = tuple(_MAKERS)

# Kinds that show the first colour without blotches of the surface: print is even.
_PRINTED = {"photo", "poster", "text", "books"}

# How many of each kind a bank holds.
_BANK_SIZES = {
    "wood": 40,
    "noise": 40,
    "tile": 30,
    "speckle": 24,
    "floral": 30,
    "plaid": 24,
    "stripe": 24,
    "check": 16,
    "label": 24,
    "marble": 20,
    "knit": 20,
    "carpet": 24,
    "brick": 12,
    "books": 16,
    "photo": 24,
    "poster": 24,
    "text": 12,
}

_WOOD_TONES = ((120, 75, 40), (95, 60, 35), (165, 115, 70), (200, 165, 120), (222, 204, 176), (232, 228, 220),
               (120, 112, 104), (62, 48, 40))  # fmt: skip


def make_texture(rng: np.random.Generator, kind: str, c1: Color, c2: Color, size: int = 512) -> np.ndarray:
    """A texture of two colours.

    Args:
        rng: source of every choice.
        kind: one of `KINDS`.
        c1: sRGB, 0 to 255: the ground, and for most kinds the mean.
        c2: sRGB: pattern, band or ink; "wood", "tile", "speckle", "marble" and "brick" derive theirs from ``c1``.
        size: side in pixels.

    Returns:
        (size, size, 3) uint8 sRGB.

    Raises:
        ValueError: unknown kind.
    """
    if kind not in _MAKERS:
        raise ValueError(f"texture kind must be one of {', '.join(KINDS)} but got {kind!r}")
    image = _MAKERS[kind](rng, np.asarray(c1, float), np.asarray(c2, float), size)
    if kind not in _PRINTED:
        image = image * (0.88 + 0.24 * (fractal_noise(rng, size)[..., None] - 0.5) + 0.12)
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))


class TextureBank:
    """Room textures, made when first asked for and kept, so that a renderer can cache its copies by identity.

    A texture is a pure function of the bank's seed, its kind and its index, whatever was asked for before.
    """

    def __init__(self, seed: int, size: int = 512) -> None:
        self.seed = seed
        self.size = size
        self._textures: dict[tuple[str, int], np.ndarray] = {}

    def get(self, kind: str, rng: np.random.Generator) -> np.ndarray:
        """One of the bank's (size, size, 3) uint8 textures of this kind, chosen by ``rng``; treat it as read-only."""
        if kind not in _BANK_SIZES:
            raise ValueError(f"texture kind must be one of {', '.join(KINDS)} but got {kind!r}")
        return self.at(kind, int(rng.integers(_BANK_SIZES[kind])))

    def at(self, kind: str, index: int) -> np.ndarray:
        """The bank's texture ``index`` of this kind."""
        key = (kind, index)
        if key not in self._textures:
            rng = np.random.default_rng([self.seed, zlib.crc32(kind.encode()), index])
            c1, c2 = _room_colors(rng, kind)
            texture = make_texture(rng, kind, c1, c2, self.size)
            texture.setflags(write=False)
            self._textures[key] = texture
        return self._textures[key]


def _room_colors(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Two sRGB colours as rooms have them: mostly muted and a little warm, now and then strong."""
    if kind == "wood":
        c1 = np.array(_WOOD_TONES[rng.integers(len(_WOOD_TONES))]) + rng.normal(0, 10) + rng.normal(0, 5, 3)
        return c1.clip(8, 250), c1
    if kind == "brick":
        c1 = np.array([(165, 85, 65), (190, 175, 155), (215, 212, 205)][rng.integers(3)]) + rng.normal(0, 12, 3)
        return c1.clip(8, 250), c1
    value = rng.uniform(30, 238)
    c1 = value + rng.normal(0, 9, 3) + rng.normal(3, 8) * np.array([1.2, 0.5, -1.3])
    strong = 0.07 if kind in {"noise", "tile", "speckle", "marble"} else 0.22
    if rng.random() < strong:
        c1 = 0.6 * rng.uniform(10, 245, 3) + 0.4 * value
    if kind == "marble":
        c1 = c1 * 0.5 + 0.5 * rng.choice([235.0, 215.0, 60.0])
    if kind == "text":
        return rng.uniform(225, 250) * np.ones(3) + rng.normal(0, 3, 3), rng.uniform(15, 60) * np.ones(3)
    related = kind in {"noise", "carpet"} or (kind != "label" and rng.random() < 0.75)
    c2 = c1 * rng.uniform(0.6, 1.25) + rng.normal(0, 9, 3) if related else rng.uniform(20, 250, 3)
    return c1.clip(8, 250), c2.clip(5, 250)
