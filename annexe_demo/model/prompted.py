"""The prompted engine: a general vision-language model of the Hub names boxes, SAM turns boxes into masks. No training.

    model = PromptedModel.from_pretrained("qwen3-vl-4b", sam="facebook/sam-vit-base")
    picture = model.encode(image)                                     # once a photo
    for text in model.generate(picture, model.analysis_prompt(), 120): ...
    mask, score = model.segment(predictor, box)

A `PromptedModel` holds nothing of any visitor: what belongs to a photo is in the `Picture` and the `SamPredictor` that
its methods return. Its weights are used by one generation at a time, each of which starts from an empty cache. That is
what keeps Qwen-class models right, whose position offset (``rope_deltas``) lives on the model and belongs to whichever
picture was read last: it is always written anew by the generation that reads it.
"""

from __future__ import annotations

import inspect
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch

from .grounding_text import Coordinates, Size
from .presets import DEFAULT_SAM, GIB, PRESETS, Preset
from .sam import load_sam

if TYPE_CHECKING:
    from PIL import Image
    from segment_anything import SamPredictor
    from segment_anything.modeling import Sam

MAX_PICTURE_PIXELS = 1280 * 32 * 32  # 1,280 visual tokens of Qwen3-VL; a larger photo is made smaller for the VLM
MAX_ASPECT_RATIO = 200  # Qwen's processors refuse what is longer
POLL_SECONDS = 0.5
STALL_SECONDS = 600  # between two pieces of text; a long prefill on a CPU takes minutes
_ABSOLUTE = ("qwen2_5_vl",)
_PROMPTS = Path(__file__).parent / "prompts"


@dataclass
class Picture:
    """A photo as the vision-language model sees it.

    Attributes:
        image: the photo, made smaller where it is larger than `MAX_PICTURE_PIXELS`.
        seen: (width, height) in pixels after the processor's resizing.
        features: the vision encoder's output; None for a model that takes only pixels, which encodes them every time.
    """

    image: Image.Image = field(repr=False)
    seen: Size
    features: Any = field(default=None, repr=False)


class Stream(Protocol):
    """Text of one generation, piece by piece. Iterate over it once; `close` stops the work.

    A piece may be empty: nothing has come yet, and whoever reads may stop here.
    """

    finish_reason: Literal["stop", "length"]

    def __iter__(self) -> Iterator[str]: ...

    def close(self) -> None: ...


class PromptedBase(ABC):
    """What the prompted engine is wherever its vision-language model runs: the prompts, and SAM.

    Args:
        sam: in eval mode on its device.
        coordinates: how the vision-language model writes boxes, see `grounding_text.to_photo`.
    """

    def __init__(self, sam: Sam, coordinates: Coordinates):
        self.sam = sam
        self.coordinates: Coordinates = coordinates
        self._sam_lock = threading.Lock()

    @abstractmethod
    def encode(self, image: np.ndarray) -> Any:
        """Prepare a photo, (H, W, 3) uint8 RGB; what comes back has `seen`, the (width, height) that the model sees.

        Raises:
            ValueError: one side is more than `MAX_ASPECT_RATIO` times the other.
        """

    @abstractmethod
    def generate(self, picture: Any, prompt: str, max_new_tokens: int) -> Stream:
        """Greedy decoding of the reply to `prompt` about `picture`, as a stream of text. Close it to stop the work."""

    @abstractmethod
    def plain(self, text: str) -> str:
        """`text` with the model's special tokens broken by a zero-width space, so that they stay what was typed."""

    def analysis_prompt(self) -> str:
        return _template("analysis").template

    def answer_prompt(self, picture: Any, analysis: str, query: str) -> str:
        """The prompt for one pass of answer and boxes; `analysis` and `query` enter it as plain text."""
        width, height = picture.seen
        coordinates = _template(f"coordinates_{self.coordinates}").substitute(width=width, height=height).strip()
        return _template("answer").substitute(
            analysis=self.plain(analysis), query=self.plain(query), coordinates=coordinates
        )

    # ---- SAM

    def predictor(self, image: np.ndarray) -> SamPredictor:
        """SAM's features of a photo, (H, W, 3) uint8 RGB. Each photo has a predictor of its own; the weights are shared."""
        from segment_anything import SamPredictor

        predictor = SamPredictor(self.sam)
        with self._sam_lock, _memory_errors():
            predictor.set_image(image)
        return predictor

    def segment(self, predictor: SamPredictor, box: tuple[float, float, float, float]) -> tuple[np.ndarray, float]:
        """The mask in a box.

        Args:
            predictor: of the photo.
            box: (x1, y1, x2, y2) in the photo's pixels.

        Returns:
            bool mask of shape (H, W), and its predicted IoU, 0 to 1.
        """
        with self._sam_lock, _memory_errors():
            masks, scores, _ = predictor.predict(box=np.array(box, dtype=np.float32), multimask_output=False)
        return masks[0], float(np.clip(scores[0], 0, 1))


class PromptedModel(PromptedBase):
    """A vision-language model with its processor, and SAM.

    Args:
        vlm: an image-text-to-text model of transformers, in eval mode on its device.
        processor: the model's own.
        sam: in eval mode on its device.
        coordinates: how the model writes boxes; found out from its kind when left out.
    """

    def __init__(self, vlm: Any, processor: Any, sam: Sam, coordinates: Coordinates | None = None):
        super().__init__(sam, coordinates or ("absolute" if vlm.config.model_type in _ABSOLUTE else "relative"))
        self.vlm = vlm
        self.processor = processor
        self.takes_features = (
            "mm_encoder_outputs" in inspect.signature(vlm.forward).parameters
            and getattr(vlm.base_model, "get_image_features", None) is not None
        )
        self._vlm_lock = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        sam: str | Path = DEFAULT_SAM,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        revision: str | None = None,
        sam_revision: str | None = None,
        coordinates: Coordinates | None = None,
    ) -> PromptedModel:
        """Load both parts.

        Args:
            path: a name of `PRESETS`, a folder, or a model of the Hub by its id.
            sam: see `load_sam`.
            device: where to run; CUDA where there is one, else the CPU.
            dtype: of the vision-language model; bfloat16 on CUDA, float16 on MPS, float32 on the CPU when left out.
            revision, sam_revision: commits, branches or tags on the Hub; None means a preset's own, else main.
            coordinates: how the model writes boxes; a preset's own, or found out from the model's kind, when left out.

        Raises:
            FileNotFoundError: neither folders nor models of the Hub that can be reached.
            ValueError: the models are of another kind.
            RuntimeError: a preset needs more memory than is free.
        """
        preset = PRESETS.get(str(path))
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        dtype = dtype or _dtype_for(device)
        if preset is not None:
            check_memory(str(path), preset, device, dtype)
            path, revision = preset.repo_id, revision or preset.revision
            coordinates = coordinates or preset.coordinates
        vlm, processor = _load_vlm(str(path), device, dtype, revision)
        return cls(vlm, processor, load_sam(sam, device, sam_revision), coordinates)

    # ---- the vision-language model

    def encode(self, image: np.ndarray) -> Picture:
        """Prepare a photo, (H, W, 3) uint8 RGB. The vision encoder runs here, once, where the model allows it.

        Raises:
            ValueError: one side is more than `MAX_ASPECT_RATIO` times the other.
        """
        small = shrink(image)
        inputs = self._inputs(small, "")
        grid = inputs.get("image_grid_thw")
        if grid is None:
            seen = small.size
        else:  # Qwen: the resized picture is exactly the grid of patches
            patch = self.processor.image_processor.patch_size
            seen = (int(grid[0, 2]) * patch, int(grid[0, 1]) * patch)
        return Picture(small, seen, self._features(inputs) if self.takes_features else None)

    def _features(self, inputs: dict[str, torch.Tensor]) -> Any:
        encode = self.vlm.base_model.get_image_features
        wanted = {k: v for k, v in inputs.items() if k in inspect.signature(encode).parameters}
        with self._vlm_lock, torch.inference_mode(), _memory_errors():
            return encode(**wanted, return_dict=True)

    def generate(self, picture: Picture, prompt: str, max_new_tokens: int) -> TextStream:
        """Greedy decoding of the reply to `prompt` about `picture`, as a stream of text. Close it to stop the work."""
        inputs = self._inputs(picture.image, prompt)
        if picture.features is not None:
            inputs = {k: v for k, v in inputs.items() if not k.startswith("pixel_")}
            inputs["mm_encoder_outputs"] = {"image": picture.features}
        return TextStream(self.vlm, self._vlm_lock, self.processor.tokenizer, inputs, max_new_tokens)

    def _inputs(self, image: Image.Image, prompt: str) -> dict[str, torch.Tensor]:
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        messages = [{"role": "user", "content": content}]
        text = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        inputs = self.processor(text=[text], images=[image], return_tensors="pt")
        return {k: v.to(self.vlm.device) for k, v in inputs.items()}

    def plain(self, text: str) -> str:
        """`text` with the model's special tokens broken by a zero-width space, so that they stay what was typed."""
        for token in self._special_tokens():
            text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
        return text

    def _special_tokens(self) -> list[str]:
        tokenizer = self.processor.tokenizer
        tokens = {str(t) for t in tokenizer.added_tokens_decoder.values()} | set(tokenizer.all_special_tokens)
        return sorted((t for t in tokens if len(t) > 1), key=len, reverse=True)


class TextStream:
    """Text of one generation, piece by piece, from a thread of its own.

    Iterate over it once; an error of the thread is raised here. `close` stops the thread and waits until it has ended.

    Attributes:
        finish_reason: "length" once the limit has ended the text.
    """

    def __init__(self, vlm: Any, lock: threading.Lock, tokenizer: Any, inputs: dict[str, Any], max_new_tokens: int):
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        stop = self._stop = threading.Event()

        class Stopped(StoppingCriteria):
            def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                return torch.full((len(input_ids),), stop.is_set(), device=input_ids.device)

        self.finish_reason: Literal["stop", "length"] = "stop"
        self._lock = lock
        self._error: BaseException | None = None
        self._busy_since: float | None = None
        self._streamer = TextIteratorStreamer(
            tokenizer,
            skip_prompt=True,
            timeout=POLL_SECONDS,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        self._vlm = vlm
        self._arguments = dict(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,  # a penalty would forbid the digits and brackets that a list of boxes repeats
            streamer=self._streamer,
            stopping_criteria=StoppingCriteriaList([Stopped()]),
        )
        self._thread = threading.Thread(target=self._run, name="prompted-generation", daemon=True)

    def __iter__(self) -> Iterator[str]:
        self._thread.start()
        last = time.monotonic()
        while True:
            try:
                text = next(self._streamer)
            except StopIteration:
                break
            except queue.Empty:
                # Nothing yet: waiting for another generation is no stall, and a dead thread would stay silent for ever.
                since = max(last, self._busy_since or time.monotonic())
                if self._thread.is_alive() and time.monotonic() - since < STALL_SECONDS:
                    continue
                if self._error is None:
                    self._error = TimeoutError(f"the vision-language model wrote nothing for {STALL_SECONDS} seconds")
                break
            last = time.monotonic()
            if text:
                yield text
        if not isinstance(self._error, TimeoutError):
            self._thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop the work; returns when the model is free again."""
        self._stop.set()
        if self._thread.ident is not None and not isinstance(self._error, TimeoutError):  # a device that hangs
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._lock.acquire(timeout=POLL_SECONDS / 5):
                if self._stop.is_set():
                    return
            try:
                if self._stop.is_set():
                    return
                self._busy_since = time.monotonic()
                self._generate()
            finally:
                self._lock.release()
        except BaseException as error:  # whatever it was, it belongs to whoever reads the stream
            self._error = error
        finally:
            self._streamer.text_queue.put(self._streamer.stop_signal)

    def _generate(self) -> None:
        prompt = self._arguments["input_ids"].shape[1]
        with torch.inference_mode(), _memory_errors():
            ids = self._vlm.generate(**self._arguments)[0, prompt:]
        ends = self._vlm.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        if len(ids) >= self._arguments["max_new_tokens"] and int(ids[-1]) not in ends:
            self.finish_reason = "length"


# ---- loading


def check_memory(name: str, preset: Preset, device: torch.device, dtype: torch.dtype) -> None:
    """Raises RuntimeError, with the numbers, where a preset needs more memory than is free on `device`."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        import psutil

        free = psutil.virtual_memory().available
    needed = preset.memory_needed(torch.empty((), dtype=dtype).element_size())
    if needed > free:
        raise RuntimeError(
            f"{name} needs {needed / GIB:.1f} GiB of memory on {device} in {str(dtype).removeprefix('torch.')} "
            f"but {free / GIB:.1f} GiB are free; take a smaller model or another device"
        )


def _dtype_for(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def _load_vlm(path: str, device: torch.device, dtype: torch.dtype, revision: str | None) -> tuple[Any, Any]:
    from transformers import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoConfig,
        AutoModelForImageTextToText,
        AutoProcessor,
    )

    what = f"the vision-language model {path!r}"
    try:
        config = AutoConfig.from_pretrained(path, revision=revision)
    except OSError as error:
        raise FileNotFoundError(f"{what} must be a folder or a Hub id ({_first_line(error)})") from error
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ValueError(f"{what} must turn pictures and text into text but is of the type {config.model_type!r}")
    try:
        processor = AutoProcessor.from_pretrained(path, revision=revision)
    except ImportError as error:
        raise ValueError(f"{what} needs another package ({' '.join(str(error).split())})") from error
    except OSError as error:
        raise FileNotFoundError(f"{what} must come with its processor ({_first_line(error)})") from error
    if getattr(processor, "image_processor", None) is None or not getattr(processor, "chat_template", None):
        raise ValueError(
            f"{what} must have a processor with an image processor and a chat template; it is no chat model"
        )
    try:
        place = {"device_map": {"": device}} if device.type == "cuda" else {}
        vlm = AutoModelForImageTextToText.from_pretrained(
            path, revision=revision, dtype=dtype, use_safetensors=True, **place
        )
    except OSError as error:
        raise FileNotFoundError(f"{what} must hold its weights as safetensors ({_first_line(error)})") from error
    return vlm.to(device).eval(), processor


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"the device is out of memory: {_first_line(error)}") from error


def shrink(image: np.ndarray) -> Image.Image:
    """A photo, (H, W, 3) uint8 RGB, in at most `MAX_PICTURE_PIXELS` for the vision-language model.

    Raises:
        ValueError: one side is more than `MAX_ASPECT_RATIO` times the other.
    """
    from PIL import Image

    height, width = image.shape[:2]
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise ValueError(
            f"one side of the picture must be at most {MAX_ASPECT_RATIO} times the other but it is {width} x {height}"
        )
    picture = Image.fromarray(image)
    scale = (MAX_PICTURE_PIXELS / (width * height)) ** 0.5
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


@lru_cache
def _template(name: str) -> Template:
    return Template((_PROMPTS / f"{name}.txt").read_text(encoding="utf-8").strip())


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
