"""What one measurement on a GPU is asked for; nothing here needs more than the standard library."""

from dataclasses import asdict, dataclass
from typing import Any

BACKENDS = ("jax", "torch")
PRECISIONS = ("float32", "tf32", "bfloat16")
MIN_IMAGE_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class Request:
    """One measurement: the full training step at one image size in one precision.

    Attributes:
        backend: of Keras: one of ``BACKENDS``.
        device: ``gpu``, or ``cpu`` for the same on the processor.
        image_size: side of the square images, pixels.
        precision: one of ``PRECISIONS``. ``float32`` multiplies in float32 throughout; ``tf32``
            rounds the factors of matrix products and convolutions to 10 bits of mantissa;
            ``bfloat16`` is Keras' ``mixed_bfloat16``, its remaining float32 products in TF32.
        batch: images in the first step measured; doubled until memory is full.
        max_batch: where doubling ends at the latest.
        base_channels: of the network; 64 is the paper's.
        steps: of each timed round.
        rounds: of which the median counts.
        matmul_size: side of the square matrices whose product is the ceiling.
        vgg_weights: path of VGG16's weights; ``None`` takes random ones, which cost the same.
    """

    backend: str
    device: str
    image_size: int
    precision: str
    batch: int
    max_batch: int
    base_channels: int
    steps: int
    rounds: int
    matmul_size: int
    vgg_weights: str | None

    @property
    def levels(self) -> int:
        """Encoder layers of the network: 7 at 256 pixels, 8 from 512 on."""
        return min(8, self.image_size.bit_length() - 2)

    def as_mapping(self) -> dict[str, Any]:
        """Return the attributes, from which ``Request(**mapping)`` makes the same again."""
        return asdict(self)
