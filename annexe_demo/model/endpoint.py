"""The prompted engine's vision-language model on a server of the OpenAI protocol (vLLM, SGLang, ...); SAM stays here.

    model = EndpointModel.connect("http://localhost:8000", sam="facebook/sam-vit-base")
    picture = model.encode(image)
    for text in model.generate(picture, model.analysis_prompt(), 120): ...

Such a server batches the requests of many visitors and spreads a large model over several devices, which this process
does not. It is asked for ``GET /models`` once and for ``POST /chat/completions`` with ``"stream": true`` for each text:
prompts and parser are those of the local engine, the decoding is greedy.

What crosses the wire is a PNG, so that the model sees exactly the pixels that the local engine would give it, small
enough (`MAX_PICTURE_PIXELS`) that servers do not make it smaller. That matters to models that write boxes in pixels of
the *resized* picture, as Qwen2.5-VL does: for these the picture is resized here to the very size that the server's
processor would choose, which then leaves it as it is. A server must not be started with a lower limit of pixels
(``max_pixels``) than `ABSOLUTE_PIXELS`, or the boxes of such a model come out too small.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import numpy as np
import torch

from ..events import ServiceError
from .grounding_text import Coordinates, Size
from .presets import DEFAULT_SAM, PRESETS, coordinates_of
from .prompted import POLL_SECONDS, PromptedBase, shrink
from .sam import load_sam

if TYPE_CHECKING:
    from PIL import Image
    from segment_anything.modeling import Sam

API_KEY_VARIABLE = "ANNEXE_VLM_API_KEY"  # one of its own: a key that is meant for another server never goes to this one
CONNECT_SECONDS = 10
SILENCE_SECONDS = 120  # between two pieces of text; a busy server lets a request wait
CLOSE_SECONDS = 5
MAX_ERROR_BYTES = 64 * 1024
ABSOLUTE_PIXELS = 28 * 28 * 1280  # of a picture for models with absolute coordinates: the processor's own default limit
_ABSOLUTE_MIN_PIXELS = 56 * 56
_ABSOLUTE_MULTIPLE = 28  # of both sides: Qwen2.5-VL's patches of 14 pixels, two by two

# What tokenizers may take for a special token, in the notations that chat templates use: <|im_end|>, </s>, <image>, [INST].
_SPECIAL = re.compile(r"<(?=[^\s<>]{1,40}>)|\[(?=/?[A-Z_]{2,24}\])")


class EndpointError(ServiceError):
    """The server cannot be used, or failed; the message is one sentence for people. It never holds the API key."""


@dataclass
class SentPicture:
    """A photo as it is sent to the server.

    Attributes:
        url: data URL of a PNG.
        seen: (width, height) in pixels of that PNG.
    """

    url: str = field(repr=False)
    seen: Size


class EndpointModel(PromptedBase):
    """A vision-language model that a server runs, and SAM.

    Args:
        endpoint: the server.
        name: the model's, as the server lists it.
        sam: in eval mode on its device.
        coordinates: how the model writes boxes.
    """

    def __init__(self, endpoint: Endpoint, name: str, sam: Sam, coordinates: Coordinates):
        super().__init__(sam, coordinates)
        self.endpoint = endpoint
        self.name = name

    @classmethod
    def connect(
        cls,
        url: str,
        model: str | None = None,
        sam: str | Path = DEFAULT_SAM,
        device: str | torch.device | None = None,
        coordinates: Coordinates | None = None,
    ) -> EndpointModel:
        """Find the model on the server, and load SAM. The API key, if any, is read from `API_KEY_VARIABLE`.

        Args:
            url: of the server, with or without the path to its API (``/v1``).
            model: a name of `PRESETS`, or the model's name on the server; may be left out where it serves only one.
            sam, device: of SAM, see `load_sam`; CUDA where there is one, else the CPU.
            coordinates: how the model writes boxes; found out from its name when left out.

        Raises:
            EndpointError: the server cannot be reached, refuses the key, or does not serve the model.
            ValueError: `url` is none, or the model's name does not tell its coordinates.
            FileNotFoundError: there is no such SAM.
        """
        endpoint = Endpoint(url, os.environ.get(API_KEY_VARIABLE, "").strip() or None)
        preset = PRESETS.get(model or "")
        served = _choose(endpoint, preset.repo_id if preset else model)
        if coordinates is None:
            names = (model, served.name, served.root)
            coordinates = next((c for n in names if n and (c := coordinates_of(n))), None)
        if coordinates is None:
            raise ValueError(
                f"the name of the model {served.name!r} does not tell how it writes boxes: say so with --coordinates "
                "relative (0 to 1000, as Qwen3-VL) or --coordinates absolute (pixels, as Qwen2.5-VL)"
            )
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(endpoint, served.name, load_sam(sam, device), coordinates)

    def encode(self, image: np.ndarray) -> SentPicture:
        """Make a photo, (H, W, 3) uint8 RGB, ready to be sent. Raises ValueError as `PromptedBase.encode`."""
        picture = shrink(image)
        if self.coordinates == "absolute":
            picture = _aligned(picture)
        file = io.BytesIO()
        picture.save(file, "PNG", compress_level=1)  # half as long as the usual 6, for a tenth more bytes
        return SentPicture(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}", picture.size)

    def generate(self, picture: SentPicture, prompt: str, max_new_tokens: int) -> EndpointStream:
        content = [{"type": "image_url", "image_url": {"url": picture.url}}, {"type": "text", "text": prompt}]
        request = {
            "model": self.name,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "stream": True,
        }
        return EndpointStream(self.endpoint, request)

    def plain(self, text: str) -> str:
        """As `PromptedBase.plain`. The server's special tokens are not known here: all that looks like one is broken."""
        return _SPECIAL.sub(lambda match: f"{match[0]}\u200b", text)


# ---- the server


@dataclass(frozen=True)
class ServedModel:
    """An entry of ``GET /models``. ``root`` is what a served name stands for, where the server tells (vLLM, SGLang)."""

    name: str
    root: str = ""


class Endpoint:
    """The address of a server, how to speak to it, and its errors as sentences.

    Args:
        url: "http://host:8000", "https://host/v1", or the address of its ``/chat/completions``.
        api_key: sent as a bearer token.

    Raises:
        ValueError: `url` is no such address, or `api_key` cannot be sent.
    """

    def __init__(self, url: str, api_key: str | None = None):
        try:
            parsed = httpx2.URL(url.strip())
        except httpx2.InvalidURL as error:
            raise ValueError(f"the endpoint must be an address like http://localhost:8000/v1 ({error})") from None
        plain = parsed.host and not parsed.userinfo and not parsed.query and (parsed.port or 0) < 65536
        if parsed.scheme not in ("http", "https") or not plain:
            got = repr(url) if not parsed.userinfo else "one with a password in it"
            raise ValueError(
                f"the endpoint must be an address like http://localhost:8000/v1, with its key in {API_KEY_VARIABLE}, "
                f"but got {got}"
            )
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError(f"the API key in {API_KEY_VARIABLE} must be printable ASCII characters but has others")
        path = parsed.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
        self.url = f"{parsed.scheme}://{parsed.netloc.decode()}{path}"
        self._api_key = api_key
        self._ssl = httpx2.create_ssl_context()  # made once: it reads all certificates of the system

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"

    def options(self) -> dict[str, Any]:
        """Arguments for an `httpx2.Client` or `httpx2.AsyncClient`; redirects are not followed."""
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        timeout = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        return {"headers": headers, "timeout": timeout, "verify": self._ssl}

    def models(self) -> list[ServedModel] | None:
        """What the server serves; None where it does not tell (no ``/models``). Raises `EndpointError`."""
        with self.sentences(CONNECT_SECONDS), httpx2.Client(**self.options()) as client:
            response = client.get(f"{self.url}/models", timeout=CONNECT_SECONDS)
            if response.status_code in (404, 405, 501):
                return None
            if response.status_code != 200:
                raise self.error(response.status_code, response.content)
            try:
                entries = [e for e in response.json()["data"] if isinstance(e.get("id"), str)]
            except (ValueError, KeyError, TypeError, AttributeError):
                raise EndpointError(
                    f"{self.url}/models must answer with a list of models but answered with something else; is it a "
                    "server of the OpenAI protocol, and is this the path to its API?"
                ) from None
        return [ServedModel(e["id"], e["root"] if isinstance(e.get("root"), str) else "") for e in entries]

    @contextmanager
    def sentences(self, seconds: float) -> Iterator[None]:
        """Turn the HTTP library's errors into `EndpointError`s; `seconds` is how long a silence was borne."""
        try:
            yield
        except httpx2.ConnectTimeout as error:
            raise EndpointError(f"the server at {self.url} does not answer within {CONNECT_SECONDS} seconds") from error
        except httpx2.TimeoutException as error:
            raise EndpointError(f"the server at {self.url} sent nothing for {seconds:g} seconds") from error
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            raise EndpointError(f"the server at {self.url} cannot be reached ({_words(error)})") from error
        except httpx2.SSEError as error:
            raise EndpointError(
                f"the server at {self.url} must stream its answer but does not ({_words(error)})"
            ) from error
        except httpx2.HTTPError as error:
            raise EndpointError(f"the connection to {self.url} broke off ({_words(error)})") from error

    def error(self, status: int, body: bytes) -> EndpointError:
        """The sentence for an answer that is an error."""
        said = self.message(body)
        if status in (401, 403):
            if self._api_key:
                return EndpointError(f"the server at {self.url} refuses the API key in {API_KEY_VARIABLE} ({status})")
            return EndpointError(
                f"the server at {self.url} wants an API key: put it into {API_KEY_VARIABLE} ({status})"
            )
        if 300 <= status < 400:
            return EndpointError(f"the server at {self.url} answers from another address ({status}): give that one")
        if status == 404 and "model" not in said.lower():
            return EndpointError(f"there is nothing at {self.url} that answers (404); the path usually ends in /v1")
        what = "is too busy" if status in (429, 503) else "failed" if status >= 500 else "refuses the request"
        return EndpointError(f"the server at {self.url} {what} ({status}{': ' if said else ''}{said})")

    def message(self, body: bytes | dict[str, Any]) -> str:
        """What an error's body says, in one short line, without the key."""
        text: Any = body
        if isinstance(body, bytes):
            try:
                text = json.loads(body)
            except ValueError:
                text = "" if b"<html" in body[:512].lower() else body.decode(errors="replace")
        while isinstance(text, dict):  # {"error": {"message": ...}} (OpenAI), {"message": ...}, {"detail": ...}
            text = next((text[k] for k in ("error", "message", "detail") if text.get(k)), "")
        line = " ".join(str(text).split())[:300]
        return line.replace(self._api_key, "***") if self._api_key else line


def _choose(endpoint: Endpoint, wanted: str | None) -> ServedModel:
    served = endpoint.models()
    if served is None:
        if wanted:
            return ServedModel(wanted)
        raise EndpointError(f"the server at {endpoint.url} does not list its models: name one with --model")
    names = ", ".join(s.name for s in served[:8]) or "no model"
    if wanted is None:
        if len(served) == 1:
            return served[0]
        raise EndpointError(f"the server at {endpoint.url} serves {names}: name one with --model")
    for s in served:
        if wanted in (s.name, s.root):
            return s
    raise EndpointError(f"the server at {endpoint.url} does not serve {wanted!r}; it serves {names}")


# ---- one text


class EndpointStream:
    """Text of one chat completion, piece by piece, received in a thread of its own.

    Iterate over it once; an error of the thread is raised here. Every `POLL_SECONDS` without text an empty piece comes.
    `close` may be called by any thread and ends the connection at once, whatever it waits for: servers see that and stop.

    Attributes:
        finish_reason: "length" once the limit has ended the text.
    """

    def __init__(self, endpoint: Endpoint, request: dict[str, Any]):
        self.finish_reason: Literal["stop", "length"] = "stop"
        self._endpoint = endpoint
        self._request = request
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._closed = threading.Event()
        self._work: tuple[asyncio.AbstractEventLoop, asyncio.Task] | None = None
        self._thread = threading.Thread(target=self._run, name="prompted-endpoint", daemon=True)

    def __iter__(self) -> Iterator[str]:
        self._thread.start()
        while True:
            try:
                piece = self._pieces.get(timeout=POLL_SECONDS)
            except queue.Empty:
                piece = ""
            if piece is None:
                break
            yield piece
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop; returns when the connection is closed, or after `CLOSE_SECONDS` if a name is still being looked up."""
        self._closed.set()
        if self._work is not None:
            loop, task = self._work
            with suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(task.cancel)
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._receive())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # whatever it was, it belongs to whoever reads the stream
            self._error = error
        finally:
            self._pieces.put(None)

    async def _receive(self) -> None:
        self._work = asyncio.get_running_loop(), asyncio.current_task()
        if self._closed.is_set():  # before there was anything to cancel
            return
        # vLLM and SGLang take a model's own default penalty otherwise, which forbids the digits and brackets that a list
        # of boxes repeats. Strict servers refuse the unknown field.
        if not await self._complete({**self._request, "repetition_penalty": 1.0}):
            await self._complete(self._request)

    async def _complete(self, request: dict[str, Any]) -> bool:
        """Receive one completion. False where the server does not know the field ``repetition_penalty``."""
        endpoint = self._endpoint
        url = f"{endpoint.url}/chat/completions"
        with endpoint.sentences(SILENCE_SECONDS):
            async with (
                httpx2.AsyncClient(**endpoint.options()) as client,
                client.sse(url, method="POST", json=request) as events,
            ):
                if events.response.status_code != 200:
                    body = await _body(events.response)
                    if events.response.status_code in (400, 422) and b"repetition_penalty" in body:
                        if "repetition_penalty" in request:
                            return False
                    raise endpoint.error(events.response.status_code, body)
                complete = False
                async for event in events:
                    if event.data == "[DONE]":
                        complete = True
                        break
                    if event.data:
                        complete |= self._take(event.data)
        if not complete:
            raise EndpointError(f"the server at {endpoint.url} ended its answer in the middle")
        return True

    def _take(self, data: str) -> bool:
        """Read one chunk; True where it says that the text is complete."""
        try:
            chunk = json.loads(data)
            error, choices = chunk.get("error"), chunk.get("choices") or []
            choice = choices[0] if choices else {}  # the last chunk of some servers counts tokens and has no choice
            text, reason = (choice.get("delta") or {}).get("content") or "", choice.get("finish_reason")
            if not isinstance(text, str):
                raise TypeError
        except (ValueError, TypeError, AttributeError, KeyError):
            raise EndpointError(
                f"the server at {self._endpoint.url} must send chunks of a chat completion but sent {data[:80]!r}"
            ) from None
        if error:
            said = self._endpoint.message({"error": error})
            raise EndpointError(f"the server at {self._endpoint.url} failed while it answered ({said})")
        if text:
            self._pieces.put(text)
        if reason == "length":
            self.finish_reason = "length"
        return bool(reason)


async def _body(response: httpx2.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= MAX_ERROR_BYTES:
            break
    return body[:MAX_ERROR_BYTES]


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _aligned(picture: Image.Image) -> Image.Image:
    """A picture in the size to which Qwen2.5-VL's processor would bring it, which it then leaves as it is."""
    from PIL import Image
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    height, width = smart_resize(
        picture.height, picture.width, _ABSOLUTE_MULTIPLE, _ABSOLUTE_MIN_PIXELS, ABSOLUTE_PIXELS
    )
    return picture.resize((width, height), Image.Resampling.BICUBIC)
