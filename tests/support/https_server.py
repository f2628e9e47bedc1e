"""A small HTTPS server for tests: real TLS, a certificate of its own, ranges and faults."""

import http.server
import re
import ssl
import subprocess
import threading
from pathlib import Path


class _QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *arguments: object) -> None:
        """Say nothing of clients that hang up or distrust the certificate."""


class HttpsServer:
    """Serves ``files`` (path → bytes) at ``url``; ``ca_file`` is the certificate to trust.

    ``redirects`` maps a path to another address. ``break_after``, once set, closes the next
    transfer after so many bytes. ``requests`` lists what was asked for: (path, Range header).
    """

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.break_after: int | None = None
        self.supports_ranges = True
        self.requests: list[tuple[str, str | None]] = []
        self.ca_file = folder / "certificate.pem"
        key_file = folder / "key.pem"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        command += " -addext subjectAltName=DNS:localhost"
        files = ["-keyout", str(key_file), "-out", str(self.ca_file)]
        subprocess.run([*command.split(), *files], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, key_file)
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "HttpsServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                owner.requests.append((self.path, asked))
                if self.path in owner.redirects:
                    self.send_response(302)
                    self.send_header("Location", owner.redirects[self.path])
                    self.end_headers()
                elif self.path in owner.files:
                    self._send(owner.files[self.path], asked)
                else:
                    self.send_error(404)

            def _send(self, data: bytes, asked: str | None) -> None:
                match = re.fullmatch(r"bytes=(\d+)-", asked or "")
                start = int(match.group(1)) if match and owner.supports_ranges else 0
                if start >= len(data) and start:
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                end, owner.break_after = owner.break_after, None
                self.wfile.write(data[start:] if end is None else data[start : start + end])

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler
