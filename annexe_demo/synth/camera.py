"""The pinhole camera that sees a scene, and the way a real camera would develop its radiance into a photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

NEAR_PLANE = 0.03  # metres
FAR_PLANE = 20.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        eye: (3,) position in metres, z up.
        target: (3,) point in the middle of the picture.
        up: (3,) direction that points up in the picture; tilted for a rolled head.
        vertical_fov: field of view over the picture's height, radians.
    """

    eye: np.ndarray
    target: np.ndarray
    up: np.ndarray
    vertical_fov: float

    def view_matrix(self) -> np.ndarray:
        """(4, 4) world to camera; the camera looks along its -z."""
        return look_at(self.eye, self.target, self.up)

    def view_projection(self, aspect: float) -> np.ndarray:
        """(4, 4) world to clip space for a picture whose width is ``aspect`` times its height."""
        return perspective(self.vertical_fov, aspect, NEAR_PLANE, FAR_PLANE) @ self.view_matrix()

    def project(self, points: np.ndarray, aspect: float) -> np.ndarray:
        """Projects (N, 3) points to (M, 2) normalised device coordinates (-1 to 1, y up); drops those behind the eye."""
        clip = np.c_[points, np.ones(len(points))] @ self.view_projection(aspect).T
        clip = clip[clip[:, 3] > NEAR_PLANE]
        return clip[:, :2] / clip[:, 3:]


def horizontal_to_vertical_fov(horizontal: float, aspect: float) -> float:
    """Vertical field of view (radians) that belongs to a horizontal one."""
    return 2 * np.arctan(np.tan(horizontal / 2) / aspect)


def perspective(vertical_fov: float, aspect: float, near: float, far: float) -> np.ndarray:
    """(4, 4) OpenGL perspective projection."""
    focal = 1 / np.tan(vertical_fov / 2)
    depth_scale = (far + near) / (near - far)
    depth_offset = 2 * far * near / (near - far)
    return np.array(
        [[focal / aspect, 0, 0, 0], [0, focal, 0, 0], [0, 0, depth_scale, depth_offset], [0, 0, -1, 0]], float
    )


def orthographic(half_size: float, near: float, far: float) -> np.ndarray:
    """(4, 4) OpenGL parallel projection of a square."""
    depth_scale = 2 / (near - far)
    depth_offset = (far + near) / (near - far)
    return np.array(
        [[1 / half_size, 0, 0, 0], [0, 1 / half_size, 0, 0], [0, 0, depth_scale, depth_offset], [0, 0, 0, 1]], float
    )


def look_at(eye: np.ndarray, target: np.ndarray, up: np.ndarray = (0.0, 0.0, 1.0)) -> np.ndarray:
    """(4, 4) world to camera matrix of an eye that looks at a target."""
    eye, up = np.asarray(eye, float), np.asarray(up, float)
    backward = eye - np.asarray(target, float)
    backward /= np.linalg.norm(backward)
    if abs(backward @ up) > 0.999 * np.linalg.norm(up):
        up = np.array([0.0, 1.0, 0.0])
    right = np.cross(up, backward)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = right, np.cross(backward, right), backward
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return matrix


def develop(radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns linear radiance into what a body-worn camera would have stored.

    Exposure, white balance, vignette, bloom, tone curve, saturation, lens and motion blur, correlated sensor noise and
    a JPEG round trip, each of random strength.

    Args:
        radiance: (H, W, 3) float32, linear, RGB.
        rng: source of the random strengths.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    image = _expose(radiance, rng)
    image = image * rng.uniform(0.93, 1.07, 3)  # white balance
    image = _vignette(image, rng)
    if rng.random() < 0.6:  # bloom around what is brighter than white
        image = image + 0.25 * cv2.GaussianBlur(np.maximum(image - 1, 0).astype(np.float32), (0, 0), 9)
    image = image * (1 + image / 4.0) / (1 + image) * 1.15
    image = np.clip(image, 0, 1) ** (1 / rng.uniform(2.0, 2.4))
    grey = image.mean(-1, keepdims=True)
    image = grey + (image - grey) * rng.uniform(0.75, 1.15)
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.3, 0.8))
    if rng.random() < 0.15:
        image = _motion_blur(image, rng)
    image = np.clip((image + _sensor_noise(image.shape, rng)) * 255, 0, 255).astype(np.uint8)
    return _jpeg_round_trip(image, quality=int(rng.integers(70, 96)))


def _expose(radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    luminance = radiance @ np.array([0.2126, 0.7152, 0.0722])
    log_average = max(float(np.exp(np.log(luminance + 0.02).mean())), 0.02)
    image = radiance * (rng.uniform(0.26, 0.48) / log_average) ** 0.85
    # A highlight ceiling keeps a bright window from washing out the whole picture.
    highlight = max(float(np.percentile(image.max(-1)[::4, ::4], 96)), 1e-3)
    return image * min(1.0, rng.uniform(1.3, 2.2) / highlight)


def _vignette(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    squared_radius = 2 * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)
    return image * (1 - rng.uniform(0.05, 0.35) * squared_radius)[..., None]


def _motion_blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = 9 if image.shape[1] >= 320 else 5
    kernel = np.zeros((size, size), np.float32)
    end = tuple(int(v) for v in rng.integers(1, size - 1, 2))
    cv2.line(kernel, end, (size // 2, size // 2), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _sensor_noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0.004, 0.02))
    return 0.6 * noise + 0.8 * cv2.GaussianBlur(noise, (0, 0), 0.9)  # demosaicing correlates neighbours


def _jpeg_round_trip(image: np.ndarray, quality: int) -> np.ndarray:
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])
