"""The ranks of a run: who am I, which device is mine, and the collectives training needs.

The only file that imports Horovod. A process started without a launcher is a run of one rank and
never loads it.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.launchers import launched_size, local_position, not_connected


class Ranks:
    """All ranks of a run, seen from one of them.

    ``rank`` and ``size`` number the processes; ``local_rank`` and ``local_size`` those on this
    node. With one rank every collective returns its argument.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        expected = launched_size(environment)
        self._hvd: Any = None
        if expected > 1:
            self._hvd = _start_horovod()
            if self._hvd.size() != expected:
                raise not_connected("Horovod", self._hvd.size(), expected, environment)
        self.rank: int = self._hvd.rank() if self._hvd else 0
        self.size: int = expected
        self.local_rank, self.local_size = local_position(environment, self.rank, self.size)

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, the one that writes files and talks."""
        return self.rank == 0

    def sum_gradients(
        self, gradients: Sequence[tf.Tensor], *, compression: str = "none"
    ) -> list[tf.Tensor]:
        """Sum each gradient over the ranks, each as soon as the backward pass has made it.

        ``compression="float16"`` halves what travels; the sum is then taken in float16.
        """
        if not self._hvd:
            return list(gradients)
        codec = getattr(self._hvd.Compression, "fp16" if compression == "float16" else "none")
        return [
            self._hvd.allreduce(g, op=self._hvd.Sum, compression=codec, name=f"gradient_{i}")
            for i, g in enumerate(gradients)
        ]

    def sum(self, values: Sequence[tf.Tensor], *, name: str) -> list[tf.Tensor]:
        """Sum tensors over the ranks as one message. ``name`` is unique to the place of call."""
        if not self._hvd or not values:
            return list(values)
        summed: list[tf.Tensor] = self._hvd.grouped_allreduce(
            list(values), op=self._hvd.Sum, name=name
        )
        return summed

    def broadcast_variables(self, variables: Sequence[Any]) -> None:
        """Give every rank rank 0's values of these Keras or TensorFlow variables."""
        if self._hvd:
            raw = [getattr(variable, "value", variable) for variable in variables]
            self._hvd.broadcast_variables(raw, root_rank=0)

    def broadcast(self, value: Any, *, name: str) -> Any:
        """Return rank 0's ``value``, a plain Python object, on every rank."""
        return self._hvd.broadcast_object(value, root_rank=0, name=name) if self._hvd else value

    def barrier(self) -> None:
        """Return once every rank has come here."""
        if self._hvd:
            self._hvd.allreduce(tf.zeros(()), op=self._hvd.Sum, name="barrier")

    def shutdown(self) -> None:
        """Leave the run in order; ranks that end without it look like crashes to the launcher."""
        if self._hvd:
            self._hvd.shutdown()


def _start_horovod() -> Any:
    try:
        import horovod.tensorflow as hvd
    except ImportError as error:
        raise PconvError(
            f"several ranks were started but Horovod cannot be imported ({error}); "
            "run 'make install', see docs/guide/cluster.md"
        ) from error
    hvd.init()
    return hvd


def visible_gpu_index(num_visible: int, local_rank: int) -> int:
    """Return which of the visible GPUs is this rank's.

    ``--gpus-per-task`` shows each task one GPU, which is then index 0; ``--gres`` shows every task
    all of the node's.

    Raises:
        UsageError: several are visible but fewer than this node's ranks.
    """
    if num_visible == 1:
        return 0
    if local_rank >= num_visible:
        raise UsageError(
            f"local rank {local_rank} finds {num_visible} GPUs on its node: there are more ranks "
            "than GPUs. Ask for one task per GPU: --ntasks-per-node equal to the GPUs in --gres"
        )
    return local_rank


def configure_devices(
    ranks: Ranks, *, require_gpu: bool, deterministic: bool, environment: Mapping[str, str]
) -> str:
    """Claim this rank's GPU, or its share of the cores; return a line that says what it got.

    Must run before TensorFlow touches a device.

    Raises:
        UsageError: ``require_gpu`` and none is visible: nobody should pay for a GPU node to train
            on its cores unnoticed.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        gpu = gpus[visible_gpu_index(len(gpus), ranks.local_rank)]
        tf.config.set_visible_devices(gpu, "GPU")
        tf.config.experimental.set_memory_growth(gpu, True)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
        products = "TF32 where the GPU has it" if tf32 else "float32"
        return (
            f"rank {ranks.rank}: {gpu.name} of {len(gpus)} visible, float32 products in {products}"
        )
    if require_gpu:
        shown = environment.get("CUDA_VISIBLE_DEVICES", "not set")
        raise UsageError(
            f"rank {ranks.rank} sees no GPU, but train.require_gpu is true (CUDA_VISIBLE_DEVICES "
            f"is {shown}). Ask Slurm for GPUs (--gres=gpu:a100:N), check that nvidia-smi works on "
            "the node and that TensorFlow is a CUDA build; or train.require_gpu=false"
        )
    cores = int(environment.get("SLURM_CPUS_PER_TASK") or 0)
    cores = cores or max(1, len(os.sched_getaffinity(0)) // ranks.local_size)
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    return f"rank {ranks.rank}: no GPU, {cores} core(s)"
