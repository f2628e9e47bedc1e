"""How many floating-point operations a training step needs, counted from the layers' shapes."""

from pconv_hpc.model_config import (
    IMAGE_CHANNELS,
    ModelConfig,
    encoder_channels,
    encoder_kernel,
)

# Convolutions of VGG16 up to pool3: input channels, filters, how often the image was halved before.
_VGG_CONVOLUTIONS = (
    (3, 64, 0),
    (64, 64, 0),
    (64, 128, 1),
    (128, 128, 1),
    (128, 256, 2),
    (256, 256, 2),
    (256, 256, 2),
)
_VGG_POOLS = ((64, 1), (128, 2), (256, 3))  # channels, how often halved
_OPERATIONS = 2  # a multiplication and an addition


def convolution_flops(
    size: int, *, kernel: int, strides: int, channels: int, filters: int = 1
) -> int:
    """Return the operations of one "same" convolution of a square image (size, size, channels).

    Products with the zeros of the padding do not count.
    """
    outputs = -(-size // strides)
    before = max(0, (outputs - 1) * strides + kernel - size) // 2
    taps = sum(
        0 <= output * strides + tap - before < size
        for output in range(outputs)
        for tap in range(kernel)
    )
    return _OPERATIONS * taps**2 * channels * filters


def training_step_flops(config: ModelConfig, image_size: int) -> int:
    """Return the operations of a training step for one image, with all terms of the loss.

    Counted are convolutions and the products of Gram matrices:

    - the network forward, and backward to its kernels and to every layer's input but the photo;
    - its mask sums, forward;
    - VGG16 for output, composite and truth forward, for the first two backward to its input;
    - Gram matrices of the three forward (H·W·C² each), of the first two backward (twice that).

    Activations, batch norm, the losses' sums and Adam are left out: with them XLA's own count of
    forward and backward pass at 256 and 512 pixels is 0.2% higher.
    """
    size = -(-image_size // 2**config.levels) * 2**config.levels
    channels = [IMAGE_CHANNELS, *encoder_channels(config)]
    total = 0
    for level, filters in enumerate(channels[1:]):
        kernel = encoder_kernel(config, level)
        side = size >> level
        forward = convolution_flops(
            side, kernel=kernel, strides=2, channels=channels[level], filters=filters
        )
        total += (3 if level else 2) * forward
        total += convolution_flops(side, kernel=kernel, strides=2, channels=1)
    up = channels[-1]
    for level in reversed(range(config.levels)):
        skip = filters = channels[level]
        kernel = config.decoder_kernel
        side = size >> level
        total += 3 * convolution_flops(
            side, kernel=kernel, strides=1, channels=up + skip, filters=filters
        )
        total += convolution_flops(side, kernel=kernel, strides=1, channels=1)
        up = filters
    return total + _feature_flops(image_size)


def _feature_flops(image_size: int) -> int:
    convolutions = sum(
        convolution_flops(
            image_size >> halvings, kernel=3, strides=1, channels=channels, filters=filters
        )
        for channels, filters, halvings in _VGG_CONVOLUTIONS
    )
    gram_matrices = sum(
        _OPERATIONS * (image_size >> halvings) ** 2 * channels**2
        for channels, halvings in _VGG_POOLS
    )
    return (3 + 2) * convolutions + (3 + 2 * 2) * gram_matrices
