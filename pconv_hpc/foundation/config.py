"""One YAML file describes one run: frozen dataclasses, strict parsing, ``--set section.key=value``.

Each section is a dataclass whose fields are the valid keys, with their types and defaults. Unknown
keys, wrong types and values out of range are errors that say what was found and what is valid.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.errors import require as _require
from pconv_hpc.foundation.typed_values import build, to_mapping
from pconv_hpc.foundation.yaml_files import parse_yaml, read_yaml

IMAGE_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the packed photos are and how they are read."""

    train_index: str | None = None  # index.json of the training shards
    val_index: str | None = None  # index.json of the validation shards
    image_size: int = 256  # side of the square training crop, pixels
    horizontal_flip: bool = True
    shuffle_block_images: int = 32  # images that lie together on disk are read together
    shuffle_window_blocks: int = 64  # blocks whose images are mixed with each other
    prefetch_batches: int = 4
    # a photo whose checksum is wrong: stop with its name, or train on the others
    on_damage: Literal["stop", "skip"] = "stop"

    def __post_init__(self) -> None:
        _require(8 <= self.image_size <= 4096, "data.image_size must be between 8 and 4096")
        for name in ("shuffle_block_images", "shuffle_window_blocks", "prefetch_batches"):
            _require(getattr(self, name) >= 1, f"data.{name} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class MasksConfig:
    """Which holes the network learns to fill. A bank not named is drawn when a run starts."""

    train_bank: str | None = None  # bank made by pconv-hpc make-masks
    val_bank: str | None = None
    num_masks: int = 4096  # how many to draw for training where no bank is named
    strokes: float = 1.0  # weights of the three styles in what is drawn
    boxes: float = 0.0
    objects: float = 0.0
    objects_from: str | None = None  # silhouette file or folder of mask PNGs
    max_shift: float = 0.25  # random shift of a mask, as a share of its side

    def __post_init__(self) -> None:
        weights = (self.strokes, self.boxes, self.objects)
        _require(
            all(w >= 0 for w in weights) and sum(weights) > 0,
            "masks.strokes, masks.boxes and masks.objects are weights: none below 0, not all 0",
        )
        _require(self.num_masks >= 1, "masks.num_masks must be at least 1")
        _require(0 <= self.max_shift <= 1, "masks.max_shift must be between 0 and 1")
        _require(
            self.objects == 0 or self.train_bank is not None or self.objects_from is not None,
            "masks.objects is above 0: name a silhouette file or a folder of mask PNGs in "
            "masks.objects_from, or a ready bank in masks.train_bank",
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of PConvUNet (Liu et al. 2018, table 2, generalised in width and depth)."""

    levels: int = 7  # encoder layers, each halves the image
    base_channels: int = 64  # of the first layer; doubled each level
    max_channels: int = 512
    encoder_kernels: tuple[int, ...] = (7, 5, 5, 3)  # the last one repeats for deeper levels
    decoder_kernel: int = 3
    leaky_slope: float = 0.2
    batch_norm_momentum: float = 0.9
    batch_norm_epsilon: float = 1e-5
    # of the encoder's layers; symmetric: k // 2 on all sides, as PyTorch pads. Keras' "same" pads
    # an even image by one less at the top and the left, which shifts what the windows see.
    padding: Literal["same", "symmetric"] = "same"
    # what the layers are given of RGB in [0, 1]: the same; [-1, 1]; or less ImageNet's mean colour,
    # divided by its deviation. Holes are 0 in any case, and the output is RGB in [0, 1] again.
    pixels: Literal["unit", "signed", "imagenet"] = "unit"

    def __post_init__(self) -> None:
        _require(1 <= self.levels <= 12, "model.levels must be between 1 and 12")
        _require(
            1 <= self.base_channels <= self.max_channels <= 8192,
            "model needs 1 <= base_channels <= max_channels <= 8192",
        )
        kernels = (*self.encoder_kernels, self.decoder_kernel)
        _require(
            len(self.encoder_kernels) >= 1 and all(k % 2 == 1 and 1 <= k <= 31 for k in kernels),
            "model.encoder_kernels and model.decoder_kernel must be odd numbers from 1 to 31",
        )
        _require(0 <= self.leaky_slope < 1, "model.leaky_slope must be at least 0 and below 1")
        _require(0 < self.batch_norm_momentum < 1, "model.batch_norm_momentum must be in (0, 1)")
        _require(0 < self.batch_norm_epsilon < 1, "model.batch_norm_epsilon must be in (0, 1)")

    @property
    def encoder_channels(self) -> list[int]:
        """How many channels each encoder layer puts out, from the first to the deepest."""
        return [min(self.base_channels * 2**n, self.max_channels) for n in range(self.levels)]

    def encoder_kernel(self, level: int) -> int:
        """Return the window's side in encoder layer ``level``, counted from 0."""
        return self.encoder_kernels[min(level, len(self.encoder_kernels) - 1)]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the loss terms (Liu et al. 2018, eq. 7), each an L1 averaged over its tensor."""

    valid: float = 1.0
    hole: float = 6.0
    perceptual: float = 0.05
    style: float = 120.0
    total_variation: float = 0.1
    vgg_weights: str = (
        "none"  # Keras' notop .h5 or a torchvision-named .npz; "none": both terms off
    )

    def __post_init__(self) -> None:
        for name in ("valid", "hole", "perceptual", "style", "total_variation"):
            _require(getattr(self, name) >= 0, f"loss.{name} must not be negative")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam, its learning rate scaled with the global batch and warmed up (Goyal et al. 2017)."""

    learning_rate: float = 2e-4  # for reference_batch_size images a step
    reference_batch_size: int = 16
    warmup_steps: int = 500
    schedule: Literal["constant", "cosine"] = "constant"
    final_learning_rate_ratio: float = 0.05  # of the cosine schedule's end to its start
    gradient_compression: Literal["none", "float16"] = "none"
    gradient_clip_norm: float = 0.0  # 0: no clipping

    def __post_init__(self) -> None:
        _require(0 < self.learning_rate <= 1, "optimizer.learning_rate must be in (0, 1]")
        _require(
            self.reference_batch_size >= 1, "optimizer.reference_batch_size must be at least 1"
        )
        _require(self.warmup_steps >= 0, "optimizer.warmup_steps must not be negative")
        _require(
            0 <= self.final_learning_rate_ratio <= 1,
            "optimizer.final_learning_rate_ratio must be between 0 and 1",
        )
        _require(self.gradient_clip_norm >= 0, "optimizer.gradient_clip_norm must not be negative")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long a run trains, on what, and how it keeps itself safe."""

    epochs: int = 32
    steps_per_epoch: int | None = None  # null: one pass over the training photos
    global_batch_size: int = 16  # images a step, over all ranks; never depends on their number
    max_batch_per_rank: int = 16  # what one GPU holds; more is accumulated in several passes
    # weights file, run folder, places2 or celeba (docs/reference/weights.md), to start (fine-tune)
    # from
    initial_weights: str | None = None
    freeze_encoder_batch_norm: bool = False
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # float32: TF32 on A100s
    jit_compile: bool = False
    require_gpu: bool = False  # a rank that sees no GPU fails at once
    deterministic: bool = False  # bit-reproducible on GPUs too, at a price; on CPUs always
    seed: int = 0
    log_every_steps: int = 20
    checkpoint_every_minutes: float = 10.0  # beside one at the end of each epoch; 0: only those
    checkpoint_every_steps: int = 0  # 0: by time alone
    keep_checkpoints: int = 3  # beside the best one

    def __post_init__(self) -> None:
        for name in ("epochs", "global_batch_size", "max_batch_per_rank", "log_every_steps"):
            _require(getattr(self, name) >= 1, f"train.{name} must be at least 1")
        _require(
            self.steps_per_epoch is None or self.steps_per_epoch >= 1,
            "train.steps_per_epoch must be at least 1, or null for one pass over the photos",
        )
        _require(0 <= self.seed < 2**63, "train.seed must be between 0 and 2^63 - 1")
        _require(
            self.checkpoint_every_minutes >= 0,
            "train.checkpoint_every_minutes must not be negative",
        )
        _require(
            self.checkpoint_every_steps >= 0, "train.checkpoint_every_steps must not be negative"
        )
        _require(self.keep_checkpoints >= 2, "train.keep_checkpoints must be at least 2")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """The fixed photos and fixed masks that every epoch is judged on."""

    num_images: int = 100
    grid_images: int = 6  # rows of validation/epoch_NNNN.png
    seed: int = 1234

    def __post_init__(self) -> None:
        _require(self.num_images >= 1, "validation.num_images must be at least 1")
        _require(0 <= self.seed < 2**63, "validation.seed must be between 0 and 2^63 - 1")
        _require(1 <= self.grid_images <= 64, "validation.grid_images must be between 1 and 64")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything one training run depends on."""

    data: DataConfig = field(default_factory=DataConfig)
    masks: MasksConfig = field(default_factory=MasksConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)


def config_from_mapping(mapping: Any) -> RunConfig:
    """Build a ``RunConfig`` from nested dictionaries, as YAML gives them.

    Raises:
        UsageError: an unknown section or key, a wrong type, or a value out of range.
    """
    return build(RunConfig, mapping, "the configuration", prefix="")


def config_to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration (or a section) as plain dictionaries, lists, numbers and text."""
    return to_mapping(config)


def config_to_yaml(config: RunConfig) -> str:
    """Return the whole configuration, defaults included, as YAML that ``load_config`` reads."""
    return yaml.safe_dump(config_to_mapping(config), sort_keys=False, allow_unicode=True)


def model_config_from_mapping(mapping: Any) -> ModelConfig:
    """Build a ``ModelConfig`` alone, as weights files carry it."""
    return build(ModelConfig, mapping, "model")


def _parse_override(text: str) -> tuple[str, str, Any]:
    path, equals, value = text.partition("=")
    section, dot, key = path.strip().partition(".")
    if not equals or not dot or not key:
        raise UsageError(f"--set {text!r}: expected section.key=value, such as train.epochs=2")
    return section, key, parse_yaml(value, f"--set {text}")


def apply_overrides(mapping: Any, overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``mapping`` with each ``section.key=value`` of ``overrides`` put in, in order."""
    result = {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in (mapping or {}).items()
    }
    for text in overrides:
        section, key, value = _parse_override(text)
        inner = result.setdefault(section, {})
        if inner is None:
            inner = result[section] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"--set {text!r}: {section!r} is not a section with keys")
        inner[key] = value
    return result


_PATH_KEYS = {
    "data": ("train_index", "val_index"),
    "masks": ("train_bank", "val_bank", "objects_from"),
    "loss": ("vgg_weights",),
    "train": ("initial_weights",),
}


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return ``config`` with its paths made absolute, so that a run can continue from anywhere."""

    def absolute(value: str | None) -> str | None:
        return value if value in (None, "none") else str(Path(str(value)).absolute())

    sections = {}
    for section, keys in _PATH_KEYS.items():
        old = getattr(config, section)
        sections[section] = dataclasses.replace(
            old, **{key: absolute(getattr(old, key)) for key in keys}
        )
    return dataclasses.replace(config, **sections)


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a YAML file and the ``--set`` overrides into a checked ``RunConfig``.

    Raises:
        UsageError: the file cannot be read, is no YAML, has a key twice, or says something invalid.
    """
    path = Path(path)
    mapping = read_yaml(path, "a run configuration")
    if not isinstance(mapping, Mapping | None):
        raise UsageError(f"{path}: expected sections such as data, model and train")
    try:
        return config_from_mapping(apply_overrides(mapping, overrides))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
