"""The training function: data → model → restore → loop → close."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.foundation.config import RunConfig
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.model.find_weights import find_weights
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import build_pconv_unet, freeze_encoder_batch_norm
from pconv_hpc.model.vgg import load_vgg16
from pconv_hpc.model.weights import assign_variables, load_initial_weights
from pconv_hpc.shards.checked_reader import CheckedReader
from pconv_hpc.shards.loader import BatchLoader
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.shards.staging import staged_index
from pconv_hpc.training.checkpoint import CheckpointStore
from pconv_hpc.training.checkpoint_files import Checkpoint
from pconv_hpc.training.distributed import Ranks, configure_devices
from pconv_hpc.training.loop import Progress, TrainingLoop
from pconv_hpc.training.mask_banks import open_mask_banks, remove_drawn_banks
from pconv_hpc.training.monitor import Monitor, configure_logging, log_to_file
from pconv_hpc.training.run_folder import RunFolder, check_continuation, redraws_masks
from pconv_hpc.training.step import TrainingStep, build_optimizer, variable_groups
from pconv_hpc.training.validation import Validator
from pconv_hpc.training.watchdog import Watchdog, stall_limit

_LOG = logging.getLogger(__name__)


def train(config: RunConfig, run_dir: Path, stop_request: StopRequest | None = None) -> None:
    """Train a run from wherever it stands to its end; every rank calls it.

    ``stop_request`` is one that the program installed when it began; without it signals are caught
    from here on.

    Raises:
        Interrupted: asked to stop (USR2, TERM, INT); saved, and can be continued.
        PconvError: the loss is not finite, or the run folder cannot be written to.
        UsageError: configuration or data cannot be used.
    """
    folder = RunFolder(run_dir)
    ranks = Ranks()
    configure_logging(rank=ranks.rank)
    if ranks.is_first:
        with contextlib.suppress(OSError):  # where the folder cannot be used, claiming it says so
            log_to_file(folder.log_path)
    with contextlib.ExitStack() as stack:
        stop_request = stop_request or stack.enter_context(StopRequest())
        try:
            with _failures_explained(folder):
                _train_ranks(config, folder, ranks, stop_request)
        except PconvError as error:
            if ranks.is_first:
                _LOG.log(
                    logging.INFO if isinstance(error, Interrupted) else logging.ERROR, "%s", error
                )
            error.reported |= ranks.is_first or isinstance(error, Interrupted)
            if isinstance(error, Interrupted):
                _leave_together(ranks, stop_request)
            raise
        finally:
            ranks.shutdown()


def _leave_together(ranks: Ranks, stop_request: StopRequest) -> None:
    """Wait until rank 0 has saved, so that all ranks end at about the same time."""
    stop_request.ignore_further()
    try:
        ranks.barrier()
    except tf.errors.OpError as error:
        _LOG.warning("another rank ended before this one (%s)", error.message)


def _train_ranks(
    config: RunConfig, folder: RunFolder, ranks: Ranks, stop_request: StopRequest
) -> None:
    _LOG.info(
        "%s",
        configure_devices(
            ranks,
            require_gpu=config.train.require_gpu,
            deterministic=config.train.deterministic,
            environment=os.environ,
        ),
    )
    keras.utils.set_random_seed(config.train.seed % 2**32)

    with contextlib.ExitStack() as stack:
        _claim_together(ranks, folder, config, stack)

        # data
        train_reader = stack.enter_context(_open_shards(config.data.train_index, "train"))
        val_reader = stack.enter_context(_open_shards(config.data.val_index, "val"))
        train_bank, val_bank = open_mask_banks(
            config, folder.masks_dir, ranks, show_progress=ranks.is_first and sys.stderr.isatty()
        )
        # Drawing masks may take any time; from here on no rank waits long for another.
        watchdog = stack.enter_context(Watchdog(stall_limit(os.environ) if ranks.size > 1 else 0.0))
        steps_per_epoch = config.train.steps_per_epoch or max(
            1, train_reader.num_images // config.train.global_batch_size
        )
        total_steps = config.train.epochs * steps_per_epoch

        # model
        precision = config.train.precision
        dtype = precision if precision == "float32" else f"mixed_{precision}"
        model = build_pconv_unet(config.model, dtype=dtype)
        if config.train.freeze_encoder_batch_norm:
            freeze_encoder_batch_norm(model)
        loss = _build_loss(config, dtype)
        optimizer = build_optimizer(
            config.optimizer,
            global_batch_size=config.train.global_batch_size,
            total_steps=total_steps,
            precision=precision,
        )
        optimizer.build(model.trainable_variables)
        step = TrainingStep(model=model, loss=loss, optimizer=optimizer, ranks=ranks, config=config)
        validator = Validator(
            model=model,
            loss=loss,
            reader=CheckedReader(val_reader, on_damage=config.data.on_damage),
            bank=val_bank,
            ranks=ranks,
            config=config,
            on_batch=watchdog.beat,
        )

        # restore, in this order:
        #   1. the newest checkpoint of this run that verifies;
        #   2. else the weights the configuration starts from;
        #   3. else what was just initialised.
        # Rank 0 reads; then every rank gets rank 0's variables and position.
        store = CheckpointStore(folder.checkpoints_dir, keep=config.train.keep_checkpoints)
        restored = (
            _restore(store, model, optimizer, train_reader, config) if ranks.is_first else None
        )
        progress, monitor_state = ranks.broadcast(restored, name="progress") or (Progress(), None)
        for variables in variable_groups(model, optimizer).values():
            ranks.broadcast_variables(variables)

        monitor = Monitor(
            folder,
            part_names=step.part_names,
            validation_names=validator.figure_names,
            first_step=progress.step,
            validated_step=progress.validated_epochs * steps_per_epoch,
            total_steps=total_steps,
            global_batch_size=config.train.global_batch_size,
            log_every_steps=config.train.log_every_steps,
            active=ranks.is_first,
        )
        stack.callback(monitor.close)
        if monitor_state:
            monitor.restore(monitor_state)
        loop = TrainingLoop(
            config=config,
            folder=folder,
            ranks=ranks,
            model=model,
            optimizer=optimizer,
            store=store,
            monitor=monitor,
            validator=validator,
            step=step,
            progress=progress,
            steps_per_epoch=steps_per_epoch,
            total_steps=total_steps,
            data_fingerprint=train_reader.fingerprint,
            stop_request=stop_request,
        )
        _LOG.info(
            "%d parameters; %d photos of %d px, crops of %d px; %d rank(s), %d images a step; "
            "%d epochs of %d steps, %d steps done",
            model.count_params(),
            train_reader.num_images,
            train_reader.image_size,
            config.data.image_size,
            ranks.size,
            config.train.global_batch_size,
            config.train.epochs,
            steps_per_epoch,
            progress.step,
        )
        loader = stack.enter_context(
            BatchLoader(
                CheckedReader(train_reader, on_damage=config.data.on_damage),
                train_bank,
                config.data,
                config.masks,
                seed=config.train.seed,
                global_batch_size=config.train.global_batch_size,
                rank=ranks.rank,
                num_ranks=ranks.size,
                first_step=progress.step,
            )
        )

        # loop and close
        if ranks.is_first:
            folder.save_config(config)  # all of it could be used
        try:
            loop.run(watchdog.watching(iter(loader)))
        except Interrupted as error:
            loop.write_state("interrupted", str(error))
            raise
        except tf.errors.OpError as error:
            with contextlib.suppress(OSError):
                loop.write_state("failed", error.message)
            raise
        except BaseException as error:
            with contextlib.suppress(OSError):
                loop.write_state("failed", str(error) or type(error).__name__)
            raise
        loop.write_state("finished", "trained to the end")


def _claim_together(
    ranks: Ranks, folder: RunFolder, config: RunConfig, stack: contextlib.ExitStack
) -> None:
    """Let rank 0 take the folder until ``stack`` closes; where it cannot, every rank raises."""
    problem = None
    if ranks.is_first:
        try:
            stack.enter_context(FolderLock(folder.path))
            _claim_folder(folder, config)
        except UsageError as error:
            problem = str(error)
        except OSError as error:
            problem = f"{folder.path}: cannot be used as a run folder ({error})"
    problem = ranks.broadcast(problem, name="claim")
    if problem:
        refused = UsageError(problem)
        refused.reported = not ranks.is_first
        raise refused


def _claim_folder(folder: RunFolder, config: RunConfig) -> None:
    if folder.exists:
        changed = check_continuation(folder, config)
        if changed:
            _LOG.info("continuing with changed settings: %s", ", ".join(changed))
        if not folder.has_saved and redraws_masks(changed):
            remove_drawn_banks(folder.masks_dir)
    if not folder.has_saved:
        folder.save_config(config)


@contextlib.contextmanager
def _failures_explained(folder: RunFolder) -> Iterator[None]:
    """Say what failed disks and lost ranks mean for a run, in place of a traceback."""
    try:
        yield
    except OSError as error:
        raise PconvError(
            f"{folder.path}: a file could not be read or written ({error}). The last checkpoint is "
            "intact: free some space, or repair the disk or its permissions, then continue with "
            f"pconv-hpc resume {folder.path}"
        ) from error
    except tf.errors.OpError as error:
        raise PconvError(
            f"a step could not be finished, or another rank ended ({error.message})"
        ) from error


def _open_shards(index: str | None, split: str) -> ShardReader:
    if index is None:
        raise UsageError(
            f"data.{split}_index is not set; name the index.json that pconv-hpc pack wrote: "
            f"--set data.{split}_index=DIR/index.json"
        )
    return ShardReader(staged_index(Path(index), os.environ))


def _build_loss(config: RunConfig, dtype: str) -> InpaintingLoss:
    if config.loss.vgg_weights == "none":
        _LOG.info(
            "loss.vgg_weights is none: perceptual and style loss are off "
            "(pconv-hpc fetch-weights vgg16 gets the weights)"
        )
        return InpaintingLoss(config.loss, None)
    return InpaintingLoss(config.loss, load_vgg16(Path(config.loss.vgg_weights), dtype=dtype))


def _restore(
    store: CheckpointStore,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    reader: ShardReader,
    config: RunConfig,
) -> tuple[Progress, dict[str, Any]] | None:
    loaded = store.load_newest()
    if loaded is None:
        if config.train.initial_weights:
            path = find_weights(Path(config.train.initial_weights)).path
            load_initial_weights(model, config.model, path)
            _LOG.info("starting from %s", path)
        return None
    checkpoint, arrays = loaded
    _check_data(checkpoint, reader)
    for group, variables in variable_groups(model, optimizer).items():
        assign_variables(variables, arrays[group], source=checkpoint.path)
    _LOG.info("continuing after step %d (%s)", checkpoint.step, checkpoint.path.name)
    return Progress(**checkpoint.description["progress"]), checkpoint.description["monitor"]


def _check_data(checkpoint: Checkpoint, reader: ShardReader) -> None:
    expected = checkpoint.description["data_fingerprint"]
    if reader.fingerprint != expected:
        raise UsageError(
            f"{checkpoint.path}: this run trained on a pack with fingerprint {expected[:12]}…, but "
            f"data.train_index has {reader.fingerprint[:12]}…. Point data.train_index at the same "
            "pack, or start a new run from these weights with train.initial_weights"
        )
