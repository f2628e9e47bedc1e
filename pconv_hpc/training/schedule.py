"""The learning rate of a step: scaled with the global batch, warmed up, then constant or cosine."""

import math

import keras
from keras import ops

from pconv_hpc.foundation.config import OptimizerConfig


def peak_learning_rate(config: OptimizerConfig, global_batch_size: int) -> float:
    """Return the rate after warm-up: linear in the batch (Goyal et al. 2017, section 2.1)."""
    return config.learning_rate * global_batch_size / config.reference_batch_size


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over ``warmup_steps``, then constant or a half cosine to the last step.

    Args:
        config: the optimizer section.
        global_batch_size: images a step over all ranks.
        total_steps: where the cosine ends.
    """

    def __init__(
        self, config: OptimizerConfig, *, global_batch_size: int, total_steps: int
    ) -> None:
        super().__init__()
        self._config = config
        self._peak = peak_learning_rate(config, global_batch_size)
        self._total_steps = total_steps

    def __call__(self, step: int) -> object:
        """Return the float32 learning rate of ``step``, counted from 0."""
        config = self._config
        step = ops.cast(step, "float32")
        rate = ops.ones_like(step)
        if config.warmup_steps:
            rate = ops.minimum(1.0, (step + 1.0) / config.warmup_steps)
        if config.schedule == "cosine":
            span = max(1, self._total_steps - config.warmup_steps)
            progress = ops.clip((step - config.warmup_steps) / span, 0.0, 1.0)
            floor = config.final_learning_rate_ratio
            cosine = 0.5 * (1.0 + ops.cos(math.pi * progress))
            rate = rate * (floor + (1.0 - floor) * cosine)
        return self._peak * rate

    def get_config(self) -> dict[str, object]:
        """Refuse: the run's own configuration rebuilds the schedule."""
        raise NotImplementedError("a schedule is rebuilt from the run's configuration")
