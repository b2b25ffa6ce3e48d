"""A real chat server on localhost that behaves as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Of one call: status, headers, body; a number is a pause in seconds before it.
Reply = tuple[int, dict[str, str], bytes]


def says(text: str | None, **message: Any) -> Reply:
    body = {"choices": [{"message": {"role": "assistant", "content": text, **message}}]}
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def fails(status: int, **headers: str) -> Reply:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, b"{}"


@dataclass
class ChatLog:
    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@contextmanager
def chat_server(
    script: Sequence[Reply | float] | Callable[[dict[str, Any]], Reply],
    drip: float = 0.0,
) -> Iterator[ChatLog]:
    """Serve replies one after the other, the last again and again, or as a function of the call.

    ``drip`` is a pause in seconds after each byte of a body.
    """
    log, lock = ChatLog(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with lock:
                log.times.append(time.monotonic())
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                log.calls.append(body)
                log.headers.append({name.title(): value for name, value in self.headers.items()})
                number = len(log.calls) - 1
            assert self.path == "/v1/chat/completions"
            reply = script(body) if callable(script) else script[min(number, len(script) - 1)]
            if isinstance(reply, float):
                time.sleep(reply)
                reply = says("late")
            status, headers, content = reply
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if drip:
                    for start in range(len(content)):
                        self.wfile.write(content[start : start + 1])
                        self.wfile.flush()
                        time.sleep(drip)
                else:
                    self.wfile.write(content)
            except OSError:  # the client has gone
                pass

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    log.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield log
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
