"""A service that speaks OpenAI's transcriptions on loopback, and fails as it is told to.

What it hears follows from the sound alone: each tone is an utterance, which `words` gives by the
tone's pitch in hertz, with the seconds at which it sounds. So it serves tests without a model.
"""

from __future__ import annotations

import email.parser
import io
import json
import threading
import wave
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.live_servers import serving

KEY = "sk-test-speech-secret"
RATE = 16_000
_FRAME = RATE // 10
_LOUD = 500.0

Samples = npt.NDArray[np.int16]


def tone(hertz: float, seconds: float) -> Samples:
    """A tone in the middle of the loudness that there is."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (8_000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


@dataclass(frozen=True)
class Asked:
    """One request as it came: the fields of its form, and the sound."""

    path: str
    fields: Mapping[str, list[str]]
    seconds: float


@dataclass
class SpeechServer:
    """The service while it runs, as a context manager. `script` is used up first: a status and a
    body for each request.
    """

    words: Mapping[int, str]
    language: str = "english"
    key: str = KEY
    script: deque[tuple[int, bytes]] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    more: Mapping[str, Any] = field(default_factory=dict)  # members of each segment

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.speech = self
        self._serving = serving(self._server)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> SpeechServer:
        self._serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)

    def take(self, asked: Asked) -> tuple[int, bytes] | None:
        """Notes a request; the reply that the script has for it."""
        with self._lock:
            self.asked.append(asked)
            return self.script.popleft() if self.script else None

    def transcription(self, samples: Samples) -> dict[str, Any]:
        """What is said in a sound, in `verbose_json`."""
        said = list(self._said(samples))
        segments = [
            {"id": n, "start": start, "end": end, "text": f" {text}", **self.more}
            for n, (start, end, text) in enumerate(said)
        ]
        words = [word for one in said for word in _words(*one)]
        told = {"task": "transcribe", "language": self.language, "duration": len(samples) / RATE}
        return {**told, "text": "".join(s["text"] for s in segments)} | {
            "segments": segments,
            "words": words,
        }

    def _said(self, samples: Samples) -> Iterator[tuple[float, float, str]]:
        frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(float)
        loud = [0, *(np.sqrt(np.square(frames).mean(axis=1)) > _LOUD).astype(int), 0]
        edges = np.diff(loud)
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            part = samples[start * _FRAME : end * _FRAME].astype(float)
            pitch = int(np.abs(np.fft.rfft(part)).argmax()) * RATE / len(part)
            nearest = min(self.words, key=lambda hertz: abs(hertz - pitch))
            yield start / 10, end / 10, self.words[nearest]


def _words(start: float, end: float, text: str) -> Iterator[dict[str, Any]]:
    words = text.split()
    each = (end - start) / len(words)
    for number, word in enumerate(words):
        begin = start + number * each
        yield {"word": word, "start": round(begin, 3), "end": round(begin + each, 3)}


class _Server(ThreadingHTTPServer):
    speech: SpeechServer
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        speech = self.server.speech
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {speech.key}":
            self.answer(401, _error("Incorrect API key provided"))
            return
        fields, samples = _read(self.headers.get("Content-Type", ""), body)
        scripted = speech.take(Asked(self.path, fields, len(samples) / RATE))
        if scripted is not None:
            self.answer(*scripted)
        elif self.path != "/v1/audio/transcriptions":
            self.answer(404, _error("no such path"))
        elif fields["response_format"] != ["verbose_json"]:
            self.answer(400, _error("only verbose_json has times"))
        else:
            self.answer(200, json.dumps(speech.transcription(samples)).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "code": None}}).encode()


def _read(kind: str, body: bytes) -> tuple[dict[str, list[str]], Samples]:
    """The fields of a form, and the samples of its file."""
    whole: Message = email.parser.BytesParser().parsebytes(
        f"Content-Type: {kind}\r\n\r\n".encode() + body
    )
    fields: dict[str, list[str]] = {}
    samples = silence(0)
    for part in whole.get_payload():
        assert isinstance(part, Message)
        name = str(part.get_param("name", header="content-disposition"))
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if name == "file":
            with wave.open(io.BytesIO(data)) as sound:
                assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
                assert sound.getframerate() == RATE
                samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        else:
            fields.setdefault(name.removesuffix("[]"), []).append(data.decode())
    return fields, samples
