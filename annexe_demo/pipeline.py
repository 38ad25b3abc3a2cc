"""From a photo and a question to a stream of events. Knows the model and pictures; knows no page, command line or API.

    pipe = AnnexePipeline.from_pretrained("weights/annexe-mini")
    session = pipe.open("photo.jpg")                 # the picture is encoded here, once
    for event in session.analyze(): ...
    for event in session.ask("Please segment the right hand."): ...

All that belongs to one visitor and one picture lives on the `Session`: encoded picture, prefix cache, history. The model
holds none of it, so any number of sessions take turns on one pipeline without mixing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before torch: with OpenMP's spinning threads, a second busy process slows both tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as F
from transformers import DynamicCache, PreTrainedTokenizerFast

from .data.language import target_role
from .events import INDICATOR_THRESHOLD, Branch, DepthMap, Done, Event, Grounding, TextDelta
from .images import load_image
from .model.annexe import AnnexeModel
from .model.mask_generation import QUERY_KINDS, REGIONS
from .model.presets import DEFAULT_SAM, PRESETS
from .model.text_generation import (
    ANALYSIS,
    ANSWER,
    EOS,
    MSK,
    PHRASE,
    PHRASE_END,
    QUERY,
    SPECIAL_TOKENS,
    encode_query,
)
from .session import MAX_QUERY_CHARACTERS, BaseSession, QueryError, Result, Turn, check_query, collect  # noqa: F401 - also read from here

if TYPE_CHECKING:
    from .model.grounding_text import Coordinates
    from .prompted_session import PromptedPipeline

MAX_QUERY_TOKENS = 256
MAX_NEW_TOKENS = {"analysis": 80, "answer": 128}
MAX_TARGETS = 8
NO_TARGET = "There is no suitable results of your query."


class AnnexePipeline:
    """A loaded model, ready to open photos.

    Args:
        model: in eval mode, on its device.
        tokenizer: the model's own.
        name: shown to people.
    """

    def __init__(self, model: AnnexeModel, tokenizer: PreTrainedTokenizerFast, name: str = "annexe"):
        self.model = model
        self.tokenizer = tokenizer
        self.name = name

    @classmethod
    def from_pretrained(
        cls,
        path: str | os.PathLike[str],
        device: str | torch.device | None = None,
        revision: str | None = None,
        sam: str | None = None,
        vlm_endpoint: str | None = None,
        coordinates: Coordinates | None = None,
    ) -> AnnexePipeline | PromptedPipeline:
        """Load a model folder, a model of the Hugging Face Hub by its id, or a general vision-language model with SAM.

        Args:
            path: a folder that `AnnexeModel.save_pretrained` wrote, ``"user/name"``, or one of `presets.PRESETS`.
            device: where to run; CUDA where there is one, else the CPU.
            revision: commit, branch or tag of a Hub model.
            sam: folder, file or Hub id of a Segment Anything model. With it, `path` is a vision-language model that
                names boxes; presets take `presets.DEFAULT_SAM`.
            vlm_endpoint: address of an OpenAI-compatible server that runs the vision-language model. `path` is then one
                of `presets.PRESETS`, the model's name there, or "" where the server has only one.
            coordinates: how a vision-language model writes boxes, where neither preset nor name tell.

        Raises:
            FileNotFoundError: neither a model folder nor a model of the Hub that can be reached.
            ValueError: the folder holds another kind of model.
            EndpointError: the server of `vlm_endpoint` cannot be used.
        """
        if vlm_endpoint is not None:
            from .prompted_session import PromptedPipeline

            return PromptedPipeline.from_endpoint(
                vlm_endpoint, str(path) or None, sam or DEFAULT_SAM, device, coordinates
            )
        if sam is not None or str(path) in PRESETS:
            from .prompted_session import PromptedPipeline

            return PromptedPipeline.from_pretrained(
                path, sam or DEFAULT_SAM, device, revision=revision, coordinates=coordinates
            )
        folder = Path(path)
        if not folder.is_dir():
            folder = _download(str(path), revision)
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model = AnnexeModel.from_pretrained(folder, device)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        return cls(model, tokenizer, Path(path).resolve().name if Path(path).is_dir() else str(path))

    @property
    def limitations(self) -> str:
        """What the model cannot do, in sentences for the page."""
        return self.model.limitations

    def open(self, image: Any) -> Session:
        """Encode a photo: a path, bytes, a PIL image or an (H, W, 3) uint8 array. Raises `ImageError`."""
        return Session(self, load_image(image))

    def __call__(self, image: Any, query: str) -> Result:
        """Analyze a photo and answer one query about it. Raises `ImageError`, `QueryError`."""
        check_query(query)
        return collect(self.open(image), query)


class Session(BaseSession):
    """A `BaseSession` of the compact model. Made by `AnnexePipeline.open`.

    A `Grounding` comes right after its ``<MSK_k>``. A query whose mask indicator is below `INDICATOR_THRESHOLD` gets no
    masks, whatever the text says.
    """

    def __init__(self, pipe: AnnexePipeline, image: np.ndarray):
        super().__init__(image)
        self._pipe = pipe
        self._cache = DynamicCache(config=pipe.model.text_generation.language_model.config)
        with torch.inference_mode():
            self._features, self._visual, self._facts = pipe.model.encode_image(self._pixels())

    def analyze(self) -> Iterator[Event]:
        """As for every session, after a `DepthMap`."""
        yield DepthMap(self._depth())
        yield from super().analyze()

    def _analyze(self) -> Iterator[Event]:
        prefix = torch.cat([self._visual, self._embed([ANALYSIS])], 1)
        for event in self._generate(prefix):
            if isinstance(event, Done):
                self.analysis = event.text
            yield event

    def _ask(self, query: str) -> Iterator[Event]:
        ids = encode_query(self._pipe.tokenizer, query)[:MAX_QUERY_TOKENS]
        groundings: list[Grounding] = []
        query_ids = [QUERY, *ids, ANSWER]
        for event in self._generate(self._embed(query_ids), query_ids):
            if isinstance(event, Grounding):
                groundings.append(event)
            elif isinstance(event, Done):
                self.history.append(Turn(query, event.text, tuple(groundings), event.indicator))
            yield event

    def _generate(self, prefix: torch.Tensor, query_ids: list[int] | None = None) -> Iterator[Event]:
        """Greedy decoding after `prefix` (1, T, hidden): the answer to a query, or without one the analysis.

        What it adds to the prefix cache stays only of an analysis that came to its end: a text that was stopped leaves the
        session as it was, and queries do not see each other.
        """
        branch: Branch = "answer" if query_ids else "analysis"
        start = self._cache.get_seq_length()
        writer = _Writer(self._pipe.tokenizer)
        indicator: float | None = None
        finished = False
        try:
            verdict = 0.0
            if query_ids:
                indicator, kind, verdict = self._indicate(query_ids)
                prefix = torch.cat([prefix[:, :-1], prefix[:, -1:] + verdict], 1)
                writer.max_targets = 0 if kind == "no target" else MAX_TARGETS
            state = self._advance(prefix)
            reason = "length"
            for _ in range(MAX_NEW_TOKENS[branch]):
                token = self._choose(state, branch, writer)
                if token == EOS:
                    reason = "stop"
                    break
                text = writer.add(token)
                if text:
                    yield TextDelta(branch, text)
                state = self._advance(self._embed([token]) + verdict)
                if token == MSK:
                    yield self._ground(state, writer)
            if text := writer.flush():
                yield TextDelta(branch, text)
            self._advance(self._embed([EOS]))
            finished = True
            yield Done(branch, writer.text, indicator, reason)
        finally:
            if query_ids or not finished:
                added = self._cache.get_seq_length() - start
                if added:
                    self._cache.crop(-added)

    def _advance(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Feed (1, T, hidden) to the language model; the state of the last position, (hidden,)."""
        with torch.inference_mode():
            return self._pipe.model.text_generation(embeddings, cache=self._cache)[0, -1]

    def _indicate(self, query_ids: list[int]) -> tuple[float | None, str, torch.Tensor]:
        """The mask indicator of a query (None for a plain question), which of `QUERY_KINDS` it is, and what the answer's
        tokens are told of that, (1, hidden)."""
        with torch.inference_mode():
            model = self._pipe.model
            words = model.text_generation.embed(torch.tensor([query_ids], device=model.device))
            logits, found = model.mask_indicator(words, self._facts)
            without, target, plain = logits[0].float().softmax(-1).tolist()
            value = target / max(without + target, 1e-9)
            kind = "plain question" if plain > 0.5 else "target" if value >= INDICATOR_THRESHOLD else "no target"
            index = torch.tensor([QUERY_KINDS.index(kind)], device=model.device)
            verdict = model.mask_indicator.verdict(found, index)
            return None if kind == "plain question" else value, kind, verdict

    def _choose(self, state: torch.Tensor, branch: Branch, writer: _Writer) -> int:
        with torch.inference_mode():
            logits = self._pipe.model.text_generation.logits(state)
            logits[[t for t in range(len(SPECIAL_TOKENS)) if t not in writer.allowed(branch)]] = -torch.inf
            return int(logits.argmax())

    def _embed(self, ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            model = self._pipe.model
            return model.embed_text(torch.tensor([ids], device=model.device), self._visual)

    def _ground(self, state: torch.Tensor, writer: _Writer) -> Grounding:
        with torch.inference_mode():
            logits, score = self._pipe.model.ground(self._features, state[None])
            label, span = writer.targets[-1]
            if (role := target_role(label)) in REGIONS:
                # The words name a hand, and of every pixel it is known whether it is that hand.
                logits = logits + self._features.region_margin(role)
            size = self.image.shape[:2]
            mask = F.interpolate(logits[None].float(), size, mode="bilinear", align_corners=False)[0, 0] > 0
        return Grounding(len(writer.targets) - 1, label, mask.cpu().numpy(), float(score.sigmoid()[0]), span)

    def _pixels(self) -> torch.Tensor:
        """The photo as the network's input (1, 3, h, w)."""
        import cv2

        model = self._pipe.model
        h, w = network_size(self.image.shape[0], self.image.shape[1], model.config.image_size)
        method = cv2.INTER_AREA if max(self.image.shape[:2]) > max(h, w) else cv2.INTER_CUBIC
        small = cv2.resize(self.image, (w, h), interpolation=method)
        return torch.from_numpy(small.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1).to(model.device)

    def _depth(self) -> np.ndarray:
        depth = F.interpolate(self._features.depth.float(), self.image.shape[:2], mode="bilinear", align_corners=False)[
            0, 0
        ]
        depth = depth - depth.min()
        return (depth / depth.max().clamp_min(1e-6)).cpu().numpy()


class _Writer:
    """Token ids -> readable text, and where in it the targets' names stand."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self.text = ""
        self.targets: list[tuple[str, tuple[int, int]]] = []
        self.max_targets = MAX_TARGETS
        self._tokenizer = tokenizer
        self._pending: list[int] = []
        self._phrase: int | None = None
        self._span: tuple[int, int] | None = None

    def allowed(self, branch: Branch) -> set[int]:
        """Special tokens that may come next."""
        if branch == "analysis":
            return {EOS}
        if self._phrase is not None:
            return {PHRASE_END}
        if self._span is not None:
            return {MSK}
        return {EOS, PHRASE} if len(self.targets) < self.max_targets else {EOS}

    def add(self, token: int) -> str:
        """Text that this token completes; '' while a character is still missing bytes."""
        if token >= len(SPECIAL_TOKENS):
            self._pending.append(token)
            return self._take(self._tokenizer.decode(self._pending), partial=True)
        written = self.flush()
        if token == PHRASE:
            self._phrase = len(self.text)
        elif token == PHRASE_END and self._phrase is not None:
            start = self._phrase + (len(self.text[self._phrase :]) - len(self.text[self._phrase :].lstrip()))
            self._span, self._phrase = (start, len(self.text)), None
        elif token == MSK:
            span = self._span or (len(self.text), len(self.text))
            mark = f"<MSK_{len(self.targets)}>"
            self.targets.append((self.text[span[0] : span[1]], span))
            self._span = None
            self.text += mark
            written += mark
        return written

    def flush(self) -> str:
        """Text of bytes still held back."""
        return self._take(self._tokenizer.decode(self._pending), partial=False) if self._pending else ""

    def _take(self, text: str, partial: bool) -> str:
        if partial and text.endswith("\ufffd"):
            return ""
        self._pending = []
        if not self.text:
            text = text.lstrip()
        self.text += text
        return text


def network_size(height: int, width: int, image_size: int) -> tuple[int, int]:
    """(h, w) of the network's input for a photo: longer side `image_size`, both multiples of 32, at least 96."""
    scale = image_size / max(height, width)
    return max(96, round(height * scale / 32) * 32), max(96, round(width * scale / 32) * 32)


def _download(repo_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["config.json", "model.safetensors", "tokenizer*", "special_tokens_map.json"]
    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=patterns))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise FileNotFoundError(f"model must be a folder or a Hub id but got {repo_id!r} ({reason})") from error
