"""Pictures in which every found object has a colour and a number, to choose from."""

from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from pconv_hpc.segmentation.instances import Instance

# Told apart by people with any colour vision (Okabe and Ito), as far as eight colours can be.
_COLORS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_Box = tuple[float, float, float, float]  # left, top, right, bottom
_MAX_SIDE = 1600
_OPACITY = 0.45


def draw_overlay(
    image: np.ndarray, instances: Sequence[Instance], selected: Collection[int] = ()
) -> np.ndarray:
    """Return a photo with its objects tinted, outlined, and labelled with number, class and score.

    Args:
        image: uint8 (H, W, 3).
        instances: of this photo.
        selected: indices; these have a thick red outline.

    Returns:
        uint8 (h, w, 3), scaled down to at most 1600 pixels a side.
    """
    scale = min(1.0, _MAX_SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    pixels = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    order = sorted(range(len(instances)), key=lambda i: instances[i].area, reverse=True)
    masks = {i: _scaled(instances[i].mask, size) for i in order}
    for i in order:  # small ones last, on top
        color = np.array(_COLORS[i % len(_COLORS)])
        pixels[masks[i]] = (1 - _OPACITY) * pixels[masks[i]] + _OPACITY * color
        pixels[_outline(masks[i], thickness=1)] = color
    for i in selected:
        pixels[_outline(masks[i], thickness=3)] = (255, 0, 0)
    picture = Image.fromarray(pixels)
    labels: list[_Box] = []
    for i in order:
        labels.append(_draw_label(picture, i, instances[i], scale, labels))
    return np.array(picture)


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _outline(mask: np.ndarray, thickness: int) -> np.ndarray:
    return ndimage.binary_dilation(mask, iterations=thickness) & ~mask


def _draw_label(
    picture: Image.Image, index: int, instance: Instance, scale: float, others: Sequence[_Box]
) -> _Box:
    """Write number, class and score inside the object, but not over another label."""
    draw = ImageDraw.Draw(picture)
    size = max(12, max(picture.size) // 60)
    font = ImageFont.load_default(size)
    text = f"{index + 1}\n{instance.class_name} {instance.score:.2f}"
    x, y = (end * scale for end in _inside(instance))
    _, _, width, height = draw.multiline_textbbox((0, 0), text, font=font, stroke_width=2)
    left = min(max(0.0, x - width / 2), max(0.0, picture.width - width))
    top = min(max(0.0, y - height / 2), max(0.0, picture.height - height))
    free = [
        at
        for at in (top + step * height / 2 for step in (0, 1, -1, 2, -2, 3, -3))
        if 0 <= at <= picture.height - height
        and not any(_overlap((left, at, left + width, at + height), other) for other in others)
    ]
    top = free[0] if free else top
    draw.multiline_text(
        (left, top),
        text,
        font=font,
        align="center",
        fill="white",
        stroke_width=2,
        stroke_fill="black",
    )
    return left, top, left + width, top + height


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _inside(instance: Instance) -> tuple[float, float]:
    """Return the point (x, y) of the object that is farthest from its outline."""
    x0, y0, x1, y1 = instance.mask_box
    step = max(1, round(max(x1 - x0, y1 - y0) / 200))
    depth = ndimage.distance_transform_edt(np.pad(instance.mask[y0:y1:step, x0:x1:step], 1))
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return x0 + (int(column) - 0.5) * step, y0 + (int(row) - 0.5) * step
