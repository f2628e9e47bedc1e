"""A small reverse proxy that shows a server under a prefix, as Jupyter's and Open OnDemand's do."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


@contextlib.contextmanager
def prefix_proxy(port: int, prefix: str, *, strips: bool, tells: bool) -> Iterator[str]:
    """Serve what is on ``port`` under ``prefix``; give the proxy's address with the prefix.

    Args:
        port: of the server, on this machine.
        prefix: begins with a slash, and does not end with one.
        strips: takes the prefix off the path.
        tells: sends it as ``X-Forwarded-Prefix``.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(prefix):
                self.send_error(404)
                return
            path = self.path[len(prefix) :] if strips else self.path
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
            headers["X-Forwarded-Host"] = self.headers["host"]
            headers["X-Forwarded-Proto"] = "http"
            if tells:
                headers["X-Forwarded-Prefix"] = prefix
            connection = http.client.HTTPConnection("localhost", port, timeout=300)
            connection.request(self.command, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            connection.close()

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            del format, arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}{prefix}"
    finally:
        server.shutdown()
        server.server_close()
