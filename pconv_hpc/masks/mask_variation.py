"""Many masks from one: flips, quarter turns, shifts, and windows of masks larger than the photo."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.arrays.aligned_arrays import aligned_empty
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.seeded import Stream, hash_integers, sample_hash

Mask = NDArray[np.uint8]

# (mirrored, quarter turns): whether to flip left-right and up-down before the transpose that a
# quarter turn ends with.
_FLIPS = {
    (False, 0): (False, False),
    (False, 1): (True, False),
    (False, 2): (True, True),
    (False, 3): (False, True),
    (True, 0): (True, False),
    (True, 1): (False, False),
    (True, 2): (False, True),
    (True, 3): (True, True),
}


class MaskVariation:
    """Varies masks of a bank so that a sample's mask follows from (seed, epoch, sample) alone.

    A mask is mirrored or not, turned by a multiple of 90 degrees, cut to the photo's size at a
    random place if it is larger, and shifted by up to ``max_shift`` of the photo's side along both
    axes; pixels that come in from outside of the mask are valid.

    Args:
        mask_size: side of the masks that are given, pixels.
        image_size: side of the masks that are returned, not above ``mask_size``.
        max_shift: 0 to 1.
    """

    def __init__(self, mask_size: int, image_size: int, max_shift: float) -> None:
        if mask_size < image_size:
            raise UsageError(
                f"the mask bank has masks of {mask_size} x {mask_size} pixels, smaller than the "
                f"photos of {image_size} x {image_size}; draw one that fits: "
                f"pconv-hpc make-masks OUT --size {image_size}"
            )
        self._mask_size = mask_size
        self._image_size = image_size
        self._room = mask_size - image_size
        self._max_shift = round(max_shift * image_size)

    def vary(
        self,
        packed: NDArray[np.uint8],
        *,
        seed: int,
        epochs: NDArray[np.int64],
        samples: NDArray[np.int64],
    ) -> Mask:
        """Return the variation of each mask that its sample has in its epoch.

        A mask that a shift would leave without a hole, or without a valid pixel, is cut around an
        edge of its hole instead.

        Args:
            packed: uint8 (n, M, ⌈M / 8⌉), from ``MaskBank.packed_masks``.
            seed: of the run.
            epochs, samples: (n,).

        Returns:
            uint8 (n, S, S), each with both valid and hole pixels.

        Raises:
            UsageError: a mask has no hole or no valid pixel to begin with.
        """

        def draw(stream: Stream, upper: int) -> NDArray[np.int64]:
            return hash_integers(sample_hash(seed, epochs, samples, stream), upper)

        flips = draw(Stream.MASK_FLIP, 2)
        turns = draw(Stream.MASK_ROTATION, 4)
        shifts = 2 * self._max_shift + 1
        tops, lefts = (
            draw(place, self._room + 1) + draw(shift, shifts) - self._max_shift
            for place, shift in (
                (Stream.MASK_TOP, Stream.MASK_SHIFT_DOWN),
                (Stream.MASK_LEFT, Stream.MASK_SHIFT_RIGHT),
            )
        )
        size = self._image_size
        result = aligned_empty((len(packed), size, size))
        draws = np.stack([flips, turns, tops, lefts], axis=1).tolist()
        for bits, (flip, turn, top, left), out in zip(packed, draws, result, strict=True):
            turned = _unpack_turned(bits, self._mask_size, flip, turn)
            _copy_window(turned, top, left, out)
            if not _has_hole_and_valid(out):
                _copy_window(turned, *self._window_at_an_edge(turned), out)
        return result

    def centre(self, masks: Mask) -> Mask:
        """Return the middle of each mask unvaried, or a part with an edge if the middle has none.

        Args:
            masks: uint8 (n, M, M), 1 = valid, 0 = hole.

        Returns:
            uint8 (n, S, S), each with both valid and hole pixels.
        """
        size, start = self._image_size, self._room // 2
        result = masks[:, start : start + size, start : start + size].copy()
        for mask, out in zip(masks, result, strict=True):
            if not _has_hole_and_valid(out):
                _copy_window(mask, *self._window_at_an_edge(mask), out)
        return result

    def _window_at_an_edge(self, mask: Mask) -> tuple[int, int]:
        """Return top and left of a window inside the mask, an edge of the hole in its middle."""
        for axis in (0, 1):
            edges = np.argwhere(np.diff(mask, axis=axis))
            if len(edges):
                top, left = np.clip(
                    edges[len(edges) // 2] - self._image_size // 2, 0, self._room
                ).tolist()
                return top, left
        raise UsageError("a mask of the bank is all hole or all valid: the bank is damaged")


def _unpack_turned(bits: NDArray[np.uint8], size: int, flip: int, turn: int) -> Mask:
    """Return ``np.rot90(np.fliplr(mask) if flip else mask, turn)`` of a packed mask.

    Flipping bits, in which eight pixels are one byte, costs nothing beside unpacking them.
    """
    left_right, up_down = _FLIPS[bool(flip), turn]
    if up_down:
        bits = bits[::-1]
    if left_right:
        mask = np.unpackbits(bits[:, ::-1], axis=1, bitorder="little")[:, -size:]
    else:
        mask = np.unpackbits(bits, axis=1, count=size)
    return np.asarray(cv2.transpose(mask), np.uint8) if turn % 2 else mask


def _has_hole_and_valid(mask: Mask) -> bool:
    return 0 < np.count_nonzero(mask.view(np.bool_)) < mask.size  # faster than counting numbers


def _copy_window(mask: Mask, top: int, left: int, out: Mask) -> None:
    """Copy the window of ``mask`` at (top, left) to ``out``; what is outside of it is valid."""
    size, limit = len(out), len(mask)
    rows = slice(max(top, 0), min(top + size, limit))
    columns = slice(max(left, 0), min(left + size, limit))
    if rows.stop - rows.start < size or columns.stop - columns.start < size:
        out.fill(1)
    if rows.start < rows.stop and columns.start < columns.stop:
        out[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = mask[
            rows, columns
        ]
