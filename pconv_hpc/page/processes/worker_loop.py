"""The inside of a process that works for the page: requests on standard input, replies on output.

A request is a line of JSON: ``{"id": 7, "call": "tile", "arguments": {…}}``. A reply is a line,
``{"id": 7, "result": …}`` or ``{"id": 7, "error": "…"}``; with ``"size": N`` in it N raw bytes
follow. ``{"state": "…"}`` says what the process is at. It ends when its standard input does, and so
never outlives the server.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from pconv_hpc.foundation.errors import PconvError

Call = Callable[..., Any]

_THREADS = 4


class Replies:
    """Writes replies; any thread may."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Say what this process is at."""
        self._write({"state": text}, b"")

    def answer(self, number: int, result: object) -> None:
        """Reply to request ``number`` with what JSON can hold, or with bytes."""
        if isinstance(result, bytes):
            self._write({"id": number, "size": len(result)}, result)
        else:
            self._write({"id": number, "result": result}, b"")

    def refuse(self, number: int, message: str) -> None:
        """Reply that it cannot be done, and why."""
        self._write({"id": number, "error": message}, b"")

    def _write(self, header: dict[str, Any], data: bytes) -> None:
        with self._lock:
            self._stream.write(json.dumps(header).encode("ascii") + b"\n" + data)
            self._stream.flush()


def take_over_output() -> Replies:
    """Keep standard output for replies; what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return Replies(replies)


def serve_object(make: Callable[..., object]) -> None:
    """Answer requests with the public methods of an object, several at once; see ``serve``.

    Args:
        make: returns it; called with the settings that are this program's one argument, as JSON.
    """
    replies = take_over_output()
    worker = make(**json.loads(sys.argv[1]))
    names = [name for name in vars(type(worker)) if not name.startswith("_")]
    replies.say("ready")
    serve({name: getattr(worker, name) for name in names}, replies, num_threads=_THREADS)


def serve(calls: Mapping[str, Call], replies: Replies, *, num_threads: int) -> None:
    """Answer requests until standard input ends; then end the process, whatever it is at.

    Args:
        calls: by name, called with the arguments of a request.
        replies: from ``take_over_output``.
        num_threads: so many requests are worked on at once.
    """
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="requests")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        pool.submit(_answer, calls, replies, request)
    os._exit(0)


def _answer(calls: Mapping[str, Call], replies: Replies, request: dict[str, Any]) -> None:
    number = request["id"]
    try:
        replies.answer(number, calls[request["call"]](**request["arguments"]))
    except PconvError as error:
        replies.refuse(number, str(error))
    except MemoryError:
        replies.refuse(number, "not enough memory for this photo")
    except BrokenPipeError:  # the server is gone
        os._exit(0)
    except Exception as error:  # one request's fault must not end the work of all others
        replies.refuse(number, f"{type(error).__name__}: {error}")
