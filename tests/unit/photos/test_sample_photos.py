"""The photos that installed packages carry."""

import numpy as np

from pconv_hpc.photos.sample_photos import sample_photos


def test_sample_photos_are_colour_photos() -> None:
    photos = sample_photos()
    assert len(photos) == 7
    for name, photo in photos.items():
        assert photo.dtype == np.uint8, name
        assert photo.ndim == 3, name
        assert photo.shape[2] == 3, name
        assert min(photo.shape[:2]) >= 300, name
        assert np.abs(np.diff(photo.astype(int), axis=2)).mean() > 5, f"{name} is gray"
