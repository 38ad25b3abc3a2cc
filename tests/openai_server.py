"""A small server of the OpenAI protocol on a free port: lists models and streams chat completions of a tiny model.

It shares no code with the client: photos come out of data URLs, prompts go through the model's own chat template, and the
defaults of sampling are not the client's, as with vLLM.
"""

from __future__ import annotations

import base64
import io
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = Callable[["Handler", dict], None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path == "/v1/models":
            self.reply(200, self.server.models)
        else:
            self.reply(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refused():
            return
        if self.path != "/v1/chat/completions":
            self.reply(404, {"detail": "Not Found"})
            return
        request = json.loads(body)
        self.server.requests.append(request)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.server.answer(self, request)

    def _refused(self) -> bool:
        wanted = self.server.api_key
        if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
            got = self.headers.get("Authorization", "")
            self.reply(401, {"error": {"message": f"Unauthorized: {got}"}})
            return True
        return False

    def reply(self, status: int, body: Any, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        """Start a stream of events, in HTTP's chunks."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()

    def event(self, data: Any) -> None:
        line = f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

    def text(self, text: str, finish_reason: str | None = None) -> None:
        self.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}]})

    def end(self) -> None:
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def is_left(self, seconds: float) -> bool:
        """Whether the client closes its connection within this time."""
        ready = select.select([self.connection], [], [], seconds)[0]
        with suppress(ConnectionResetError):
            return bool(ready) and self.connection.recv(1, socket.MSG_PEEK) == b""
        return True

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer, models: Any, api_key: str | None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.models, self.api_key = answer, models, api_key
        self.requests: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def listing(*names: str, **more: str) -> dict:
    return {"object": "list", "data": [{"id": name, "object": "model", **more} for name in names]}


@contextmanager
def serve(answer: Answer, models: Any = None, api_key: str | None = None) -> Iterator[Server]:
    """Run a server whose chat completions `answer` writes."""
    server = Server(answer, listing("tiny-Qwen3-VL") if models is None else models, api_key)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def with_model(folder: Path) -> Answer:
    """An answer that the model in `folder` makes."""
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor, TextIteratorStreamer

    vlm = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)

    def answer(handler: Handler, request: dict) -> None:
        images, messages = [], []
        for message in request["messages"]:
            content = []
            for part in message["content"]:
                if part["type"] == "image_url":
                    url = part["image_url"]["url"]
                    images.append(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))))
                    content.append({"type": "image"})
                else:
                    content.append(part)
            messages.append({"role": message["role"], "content": content})
        prompt = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        inputs = processor(text=[prompt], images=images, return_tensors="pt")
        streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=60)
        limit, penalty = request["max_tokens"], request.get("repetition_penalty", 1.05)
        sampling = {"do_sample": False} if request.get("temperature") == 0 else {"do_sample": True}
        result = {}

        def work() -> None:
            with torch.inference_mode():
                result["ids"] = vlm.generate(
                    **inputs, **sampling, max_new_tokens=limit, repetition_penalty=penalty, streamer=streamer
                )

        thread = threading.Thread(target=work)
        thread.start()
        handler.begin()
        handler.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for piece in streamer:
            if piece:
                handler.text(piece)
        thread.join()
        made = result["ids"][0, inputs["input_ids"].shape[1] :]
        ended = int(made[-1]) == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
        handler.text("", "stop" if ended else "length")
        handler.event({"choices": [], "usage": {"completion_tokens": len(made)}})
        handler.end()

    return answer
