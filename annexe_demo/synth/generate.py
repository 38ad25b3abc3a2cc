"""Writes generated scenes into a folder of the benchmark's layout, in this process or in several."""

from __future__ import annotations

import multiprocessing
import queue
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPLITS = ("train", "val", "test")
SCENES_PER_BANK = 250  # scenes that share a texture bank; bounds the memory of a long run
MAX_ATTEMPTS = 40
CHOICE_STREAM, LANGUAGE_STREAM = 1_000_001, 1_000_000  # beyond any attempt's number
IDLE_HANDS_SHARE = 0.08  # hands that hold nothing
NO_HANDS_SHARE = 0.04  # objects only


@dataclass(frozen=True)
class Plan:
    """What a run generates. Scene ``number`` and its picture depend on nothing but the number, the size and its split.

    Attributes:
        out: the dataset's folder.
        width, height: of the pictures, pixels.
        fractions: shares of train, val and test; they sum to one.
        split: puts every scene into this split.
    """

    out: Path
    width: int
    height: int
    fractions: tuple[float, float, float] = (0.9, 0.05, 0.05)
    split: str | None = None

    def split_of(self, number: int) -> str:
        """The split of a scene, by a hash of its number."""
        if self.split is not None:
            return self.split
        position = zlib.crc32(f"scene {number}".encode()) / 2**32
        for split, edge in zip(SPLITS, np.cumsum(self.fractions), strict=True):
            if position < edge:
                return split
        return SPLITS[-1]

    @staticmethod
    def name_of(number: int) -> str:
        return f"{number:08d}"

    def is_done(self, number: int) -> bool:
        """The query file is written last, so a scene that has one is complete."""
        return (self.out / "dataset_split" / self.split_of(number) / f"{self.name_of(number)}.json").exists()


class Generator:
    """Generates and writes scenes, one process's worth of renderer and textures."""

    def __init__(self, plan: Plan) -> None:
        import cv2

        from annexe_demo.synth.renderer import Renderer

        cv2.setNumThreads(1)
        self.plan = plan
        self.rejections: Counter[str] = Counter()
        self._renderer = Renderer(plan.width, plan.height)
        self._sampler = None
        self._bank_seed: int | None = None

    def write(self, number: int) -> bool:
        """Generates one scene and writes it; False when no attempt gave an acceptable picture."""
        from annexe_demo.data.egoirgbench import write_sample
        from annexe_demo.data.facts import CATEGORIES
        from annexe_demo.data.language import annotate
        from annexe_demo.synth.camera import develop
        from annexe_demo.synth.scene import is_acceptable, scene_facts

        split = self.plan.split_of(number)
        split_index = SPLITS.index(split)
        sampler = self._sampler_for(number, split_index)
        # Category and content are drawn once, so that rejections do not shift their shares.
        # A seed that no attempt has: [n, s] and [n, s, 0] are one and the same to NumPy, and with the first attempt's
        # stream the choice of category would also be the choice of colour.
        rng = np.random.default_rng([number, split_index, CHOICE_STREAM])
        category = str(rng.choice(CATEGORIES))
        position = rng.random()
        content = "interaction"
        if position < NO_HANDS_SHARE:
            content = "no hands"
        elif position < NO_HANDS_SHARE + IDLE_HANDS_SHARE:
            content = "idle hands"
        for attempt in range(MAX_ATTEMPTS):
            rng = np.random.default_rng([number, split_index, attempt])
            scene = sampler.sample(rng, category, content)
            if scene is None:
                self.rejections["no grasp"] += 1
                continue
            rendering = self._renderer.render(
                scene.parts,
                scene.camera,
                scene.lights,
                scene.environment,
                scene.center,
                accept=lambda ids, scene=scene: is_acceptable(scene, ids),
            )
            if rendering is None:
                self.rejections["hardly visible"] += 1
                continue
            facts = scene_facts(scene, rendering.ids)
            write_sample(
                self.plan.out,
                split,
                self.plan.name_of(number),
                develop(rendering.radiance, rng),
                rendering.ids,
                rendering.depth * 1000,
                annotate(facts, np.random.default_rng([number, split_index, LANGUAGE_STREAM]), split),
                facts,
            )
            return True
        self.rejections["gave up"] += 1
        return False

    def _sampler_for(self, number: int, split_index: int):
        from annexe_demo.synth.scene import SceneSampler
        from annexe_demo.synth.textures import TextureBank

        bank_seed = (number // SCENES_PER_BANK) * len(SPLITS) + split_index  # splits share no textures
        if bank_seed != self._bank_seed:
            self._renderer.clear_texture_cache()
            self._sampler = SceneSampler(TextureBank(bank_seed), self.plan.width / self.plan.height)
            self._bank_seed = bank_seed
        return self._sampler


def generate(plan: Plan, numbers: Sequence[int], report: Callable[[str], None]) -> Counter[str]:
    """Writes the scenes of these numbers in this process and calls ``report`` with each one's name.

    Returns:
        How often scenes were rejected, by reason.
    """
    # Scenes of one bank together; the order does not change a scene.
    ordered = sorted(numbers, key=lambda n: (n // SCENES_PER_BANK, SPLITS.index(plan.split_of(n)), n))
    generator = Generator(plan)
    for number in ordered:
        generator.write(number)
        report(plan.name_of(number))
    return generator.rejections


def _work(plan: Plan, numbers: Sequence[int], messages: multiprocessing.Queue) -> None:
    messages.put(generate(plan, numbers, messages.put))


def generate_in_processes(
    plan: Plan, numbers: Sequence[int], workers: int, report: Callable[[str], None]
) -> Counter[str]:
    context = multiprocessing.get_context("spawn")  # an OpenGL context does not survive a fork
    messages = context.Queue()
    shares = [share.tolist() for share in np.array_split(np.array(numbers), workers)]
    processes = [context.Process(target=_work, args=(plan, share, messages), daemon=True) for share in shares]
    for process in processes:
        process.start()
    rejections: Counter[str] = Counter()
    running = len(processes)
    while running:
        try:
            message = messages.get(timeout=5)
        except queue.Empty:
            failed = [process.exitcode for process in processes if process.exitcode]
            if failed:
                for process in processes:
                    process.terminate()
                raise RuntimeError(f"a worker process ended with exit code {failed[0]}; its error is above") from None
            continue
        if isinstance(message, Counter):
            rejections += message
            running -= 1
        else:
            report(message)
    for process in processes:
        process.join()
    return rejections
