"""Self-contained HTML reports: one file with its pictures inside, to be mailed or kept."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.disk_space import writing

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
figure { margin: 1rem 0; } figcaption { color: #555; font-size: .9rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .8rem; text-align: left; }
td + td { text-align: right; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: .5rem; margin: .5rem 0; }
.row figure { margin: 0; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; }
"""


def _data_url(image: Path | np.ndarray) -> str:
    """Return a picture as a ``data:`` URL: files as they are, arrays (H, W, 3) uint8 as PNG."""
    if isinstance(image, Path):
        data, kind = image.read_bytes(), "jpeg" if image.suffix in (".jpg", ".jpeg") else "png"
    else:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, format="PNG")
        data, kind = stream.getvalue(), "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


class Report:
    """Collects headings, text, tables and pictures, and writes them as one HTML file.

    Every text is escaped: names of files and classes may hold anything.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def code(self, text: str) -> None:
        """Add text in a fixed-width font, line breaks kept."""
        self._parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table."""
        lines = ["".join(f"<th>{html.escape(name)}</th>" for name in header)]
        lines += ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows]
        body = "\n".join(f"<tr>{line}</tr>" for line in lines)
        self._parts.append(f"<table>\n{body}\n</table>")

    def picture(self, image: Path | np.ndarray, caption: str) -> None:
        """Add a picture: a PNG or JPEG file, or a uint8 array (H, W, 3)."""
        self._parts.append(_figure(image, caption))

    def row(self, images: Mapping[str, Path | np.ndarray]) -> None:
        """Add pictures side by side, each under its caption."""
        figures = "\n".join(_figure(image, caption) for caption, image in images.items())
        self._parts.append(f'<div class="row">\n{figures}\n</div>')

    def save(self, path: Path) -> None:
        """Write the report, whole or not at all.

        Raises:
            PconvError: it cannot be written.
        """
        title = html.escape(self._title)
        body = "\n".join(self._parts)
        text = (
            f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
            '<meta name="viewport" content="width=device-width">\n'
            f"<style>{_STYLE}</style>\n<h1>{title}</h1>\n{body}\n</html>\n"
        )
        with writing(path):
            atomic.write_text(path, text)


def _figure(image: Path | np.ndarray, caption: str) -> str:
    text = html.escape(caption)
    picture = f'<img src="{_data_url(image)}" alt="{text}">'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"
