"""One file over HTTPS: continued where it broke off, never larger than agreed, never redirected
to an unencrypted address."""

import http.client
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from tqdm import tqdm

from pconv_hpc.foundation.errors import PconvError, UsageError

_TIMEOUT_SECONDS = 60
_BLOCK_BYTES = 1 << 18
_RANGE_NOT_SATISFIABLE = 416


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str) -> None:
    if not url.lower().startswith("https://"):
        raise UsageError(f"{url}: refused; expected an address that begins with https://")


def download(
    url: str, path: Path, *, max_bytes: int, ca_file: Path | None = None, show_progress: bool = True
) -> None:
    """Write what ``url`` serves to ``path``; what is there already is taken as its beginning.

    On an error or Ctrl-C the part received stays, and the next call continues after it. Whether the
    file is the right one is the caller's to check. Proxies are taken from the environment.

    Args:
        url: an https address.
        path: file to write, in an existing folder.
        max_bytes: refuse more.
        ca_file: certificates to trust instead of the system's (PEM).
        show_progress: draw a bar.

    Raises:
        UsageError: the address, or one it redirects to, is not https, or ``ca_file`` is unusable.
        PconvError: no connection, the server's refusal, a broken transfer, or too much data.
    """
    _require_https(url)
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=_context(ca_file)), _HttpsOnly()
    )
    start = path.stat().st_size if path.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "pconv_hpc"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            _receive(response, path, start, max_bytes=max_bytes, show_progress=show_progress)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and start:
            return  # nothing is left to fetch
        raise PconvError(f"{url}: the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise PconvError(f"{url}: no connection ({error.reason})") from error
    except (http.client.HTTPException, OSError) as error:
        raise PconvError(f"{url}: the transfer broke off ({error})") from error


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # also what ssl raises for a file that holds no certificate
        raise UsageError(f"{ca_file}: cannot be used as certificates ({error})") from error


def _receive(
    response: http.client.HTTPResponse,
    path: Path,
    start: int,
    *,
    max_bytes: int,
    show_progress: bool,
) -> None:
    continues = response.status == http.client.PARTIAL_CONTENT and (
        response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    )
    received = start if continues else 0
    length = response.headers.get("Content-Length", "")
    total = received + int(length) if length.isdecimal() else None
    if total is not None and total > max_bytes:
        raise PconvError(f"{response.url}: {total:,} bytes are offered; expected {max_bytes:,}")
    with (
        open(path, "ab" if continues else "wb") as file,
        tqdm(
            total=total,
            initial=received,
            desc=path.name.strip(".").removesuffix(".part"),
            unit="B",
            unit_scale=True,
            disable=not show_progress,
        ) as bar,
    ):
        while block := response.read(_BLOCK_BYTES):
            received += len(block)
            if received > max_bytes:
                raise PconvError(f"{response.url}: sends more than {max_bytes:,} bytes; stopped")
            file.write(block)
            bar.update(len(block))
    if total is not None and received < total:
        raise PconvError(
            f"{response.url}: the transfer broke off at {received:,} of {total:,} bytes"
        )
