"""Reports: one file, everything escaped, pictures inside."""

import base64
import re
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.evaluation.reports.html_page import Report


def test_a_report_holds_its_pictures_and_escapes_its_texts(tmp_path: Path) -> None:
    hostile = '<script>alert("x")</script> & \'"'
    picture = tmp_path / "picture.png"
    Image.new("RGB", (3, 2), (255, 0, 0)).save(picture)
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (3, 2)).save(photo)
    report = Report(hostile)
    report.heading(hostile)
    report.paragraph(hostile)
    report.code(hostile)
    report.table([hostile, "b"], [[hostile, 3.5]])
    report.picture(picture, hostile)
    report.row({"one": np.zeros((4, 5, 3), np.uint8), "two": photo})
    path = tmp_path / "report.html"
    report.save(path)

    text = path.read_text()
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 9
    urls = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', text)
    assert [kind for kind, _ in urls] == ["png", "png", "jpeg"]
    assert base64.b64decode(urls[0][1]) == picture.read_bytes()
    assert "<td>3.5</td>" in text
