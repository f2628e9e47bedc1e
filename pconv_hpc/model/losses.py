"""The loss of Liu et al. 2018: pixels, perception, style, and smoothness at the hole's border."""

from typing import Any

from keras import ops

from pconv_hpc.foundation.config import LossConfig
from pconv_hpc.model.vgg import VGG16Features


class InpaintingLoss:
    """Weighted sum of five terms, each an averaged L1 (Liu et al. 2018, section 3.3).

    With I the output, G the truth, M the mask (1 = valid) and C = M·G + (1-M)·I the composite:

    - ``valid``: mean of |M·(I-G)|; ``hole``: mean of |(1-M)·(I-G)|, both over all elements;
    - ``perceptual``: over pool1, pool2, pool3 of VGG16, mean of |Ψ(I)-Ψ(G)| plus of |Ψ(C)-Ψ(G)|;
    - ``style``: the same for Gram matrices ΨᵀΨ / (C·H·W), of the output plus of the composite;
    - ``total_variation``: the differences between neighbouring pixels of C, both within the hole
      dilated by one pixel (3×3), summed and divided by the number of elements of C.

    A term is left out where its weight is 0 and, for the two that compare features, where there is
    no VGG16. With ``valid`` left out nothing is asked of the output at valid pixels, and features
    are compared for the composite alone. No gradient flows to the truth. All terms are float32
    whatever the inputs are; matrix products and convolutions on the way, VGG16's and the Gram
    matrices', are TF32 on GPUs where the backend's default is that (TensorFlow's and JAX's are).

    Args:
        config: the weights; ``vgg_weights`` is not looked at here.
        vgg: feature extractor, or ``None``.

    Attributes:
        part_names: what a call returns, in order; the first is ``loss``, the weighted sum.
    """

    def __init__(self, config: LossConfig, vgg: VGG16Features | None) -> None:
        weights = {
            "valid": config.valid,
            "hole": config.hole,
            "perceptual": config.perceptual if vgg is not None else 0.0,
            "style": config.style if vgg is not None else 0.0,
            "total_variation": config.total_variation,
        }
        self._weights = {name: weight for name, weight in weights.items() if weight > 0}
        self._vgg = vgg
        self.part_names = ["loss", *self._weights]

    def __call__(self, output: Any, truth: Any, masks: Any) -> dict[str, Any]:
        """Return ``loss`` and each unweighted term as float32 scalars, means over the batch.

        Args:
            output: what the network gives, float (B, H, W, 3).
            truth: RGB (B, H, W, 3) in [0, 1].
            masks: (B, H, W, 1), 1 = valid, 0 = hole.
        """
        output = ops.cast(output, "float32")
        truth = ops.stop_gradient(ops.cast(truth, "float32"))
        valid = ops.cast(masks, "float32")
        hole = 1.0 - valid
        composite = valid * truth + hole * output
        error = ops.abs(output - truth)

        parts = {"valid": ops.mean(valid * error), "hole": ops.mean(hole * error)}
        if self._vgg is not None and self._weights.keys() & {"perceptual", "style"}:
            parts |= self._feature_terms(self._vgg, output, composite, truth)
        if "total_variation" in self._weights:
            parts["total_variation"] = hole_total_variation(composite, hole)

        total = sum(weight * parts[name] for name, weight in self._weights.items())
        return {"loss": total, **{name: parts[name] for name in self._weights}}

    def _feature_terms(
        self, vgg: VGG16Features, output: Any, composite: Any, truth: Any
    ) -> dict[str, Any]:
        # The truth goes through on its own: nothing of its pass is kept for a gradient.
        wanted = [ops.stop_gradient(f) for f in vgg(truth)]
        looked_at = [output, composite] if "valid" in self._weights else [composite]
        given = vgg(ops.concatenate(looked_at, axis=0))
        perceptual = style = 0.0
        for found, expected in zip(given, wanted, strict=True):
            found, expected = ops.cast(found, "float32"), ops.cast(expected, "float32")
            if "perceptual" in self._weights:
                perceptual = perceptual + _sum_of_means(len(looked_at), found, expected)
            if "style" in self._weights:
                found, expected = gram_matrix(found), gram_matrix(expected)
                style = style + _sum_of_means(len(looked_at), found, expected)
        return {"perceptual": perceptual, "style": style}


def _sum_of_means(count: int, found: Any, expected: Any) -> Any:
    """Return the mean of |found - expected| over each of ``count`` batches in one, added up."""
    batches = ops.reshape(found, (count, -1, *expected.shape[1:]))
    return float(count) * ops.mean(ops.abs(batches - expected))


def gram_matrix(features: Any) -> Any:
    """Return which channels of (B, H, W, C) fire together: (B, C, C), divided by C·H·W."""
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * width, channels))
    products = ops.matmul(ops.transpose(flat, (0, 2, 1)), flat)
    return products / ops.cast(height * width * channels, products.dtype)


def hole_total_variation(composite: Any, hole: Any) -> Any:
    """Return the total variation of ``composite`` (B, H, W, C) in and around the hole.

    Counted are pairs of neighbours, side by side or one above the other, that both lie in ``hole``
    (B, H, W, 1; 1 = hole) dilated by one pixel. The sum of their absolute differences is divided by
    the number of elements of ``composite`` (Liu et al. 2018, equation 6).
    """
    region = ops.max_pool(hole, 3, strides=1, padding="same")
    across = ops.abs(composite[:, :, 1:] - composite[:, :, :-1])
    down = ops.abs(composite[:, 1:] - composite[:, :-1])
    across = ops.sum(across * (region[:, :, 1:] * region[:, :, :-1]))
    down = ops.sum(down * (region[:, 1:] * region[:, :-1]))
    return (across + down) / ops.cast(ops.size(composite), "float32")
