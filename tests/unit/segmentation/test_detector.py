"""Configurations and checkpoints, fitting, missing, damaged and hostile."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging.history_buffer import HistoryBuffer

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation import detector
from tests.support.assets.shape_photos import CLASSES
from tests.support.assets.small_network import CHECKPOINT, CONFIG
from tests.support.hostile_pickles import RunsCode


def _content() -> dict[str, Any]:
    return torch.load(CHECKPOINT, weights_only=True)


def test_config_is_found_by_path_and_by_name() -> None:
    assert detector.find_config(CONFIG) == CONFIG
    shipped = detector.find_config(detector.DEFAULT_CONFIG)
    assert shipped.is_file()
    assert shipped == detector.find_config(detector.DEFAULT_CONFIG + ".py")


@pytest.mark.parametrize("name", ["mask-rcnn_of_tomorrow", "../mask-rcnn_r50_fpn_2x_coco", "*"])
def test_unknown_config_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="no such file, and no configuration of that name"):
        detector.find_config(name)


def test_detector_knows_its_classes_and_what_it_is() -> None:
    built = detector.load_detector(CONFIG, CHECKPOINT, device="cpu")
    assert built.classes == CLASSES
    assert built.description.startswith("small_mask_rcnn small_mask_rcnn.pth ")
    assert not built.model.training
    assert next(built.model.parameters()).dtype == torch.float32


def test_default_network_is_coco_and_is_built_from_weights_by_path(tmp_path: Path) -> None:
    settings = detector._read_config(detector.find_config(detector.DEFAULT_CONFIG))
    detector.register_all_modules(init_default_scope=True)
    model = detector._build(settings, Path("default"))
    # as the model zoo of MMDetection 2 wrote it: class names in capitals, and what it ran on
    meta = {"CLASSES": tuple(detector.get_classes("coco")), "epoch": 24, "seed": np.int64(3)}
    torch.save({"meta": meta, "state_dict": model.state_dict()}, tmp_path / "zoo.pth")
    del model
    built = detector.load_detector(checkpoint=tmp_path / "zoo.pth", device="cpu")
    assert len(built.classes) == 80
    assert built.classes[0] == "person"


def test_missing_default_weights_say_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"pconv-hpc fetch-weights mask_rcnn"):
        detector.load_detector()
    with pytest.raises(UsageError, match="--checkpoint"):
        detector.load_detector(CONFIG)
    with pytest.raises(UsageError, match=r"none\.pth: no such checkpoint"):
        detector.load_detector(CONFIG, tmp_path / "none.pth")


def test_harmless_objects_of_training_are_read(tmp_path: Path) -> None:
    content = _content()
    content["meta"] |= {"score": np.float64(0.4), "seed": np.int64(1), "means": np.zeros(3)}
    content["message_hub"] = {"loss": HistoryBuffer([1.0, 2.0], [1, 1])}
    torch.save(content, tmp_path / "trained.pth")
    read = detector.read_checkpoint(tmp_path / "trained.pth")
    assert read["meta"]["score"] == 0.4
    assert read["state_dict"].keys() == content["state_dict"].keys()


def test_code_in_a_checkpoint_never_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = _content() | {"optimizer": RunsCode(canary)}
    torch.save(hostile, tmp_path / "hostile.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(RunsCode(canary)))
    torch.save(hostile, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    for name in ("hostile.pth", "plain.pth", "legacy.pth"):
        with pytest.raises(UsageError, match=rf"{name}: .*(io\.open|damaged)"):
            detector.load_detector(CONFIG, tmp_path / name)
    assert not canary.exists()


def test_code_never_runs_even_if_the_environment_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save(_content() | {"x": RunsCode(tmp_path / "canary")}, tmp_path / "hostile.pth")
    with pytest.raises(UsageError, match=r"docs/guide/segment\.md"):
        detector.read_checkpoint(tmp_path / "hostile.pth")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 broken", b"\x80\x02."])
def test_damaged_checkpoint_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "damaged.pth").write_bytes(content)
    with pytest.raises(UsageError, match=r"damaged\.pth: damaged, or no checkpoint"):
        detector.read_checkpoint(tmp_path / "damaged.pth")


@pytest.mark.parametrize("content", [[], {}, {"state_dict": {}}, {"state_dict": {"a": 1}}, 5])
def test_checkpoint_without_weights_is_an_error(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "none.pth")
    with pytest.raises(UsageError, match="no weights under the key"):
        detector.read_checkpoint(tmp_path / "none.pth")


def test_weights_of_another_network_are_an_error(tmp_path: Path) -> None:
    content = _content()
    weights = content["state_dict"]
    weights["roi_head.bbox_head.fc_cls.weight"] = torch.zeros(9, 192)
    del weights["neck.fpn_convs.0.conv.bias"]
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UsageError, match=r"2 are missing or of another shape \(neck\.fpn_convs"):
        detector.load_detector(CONFIG, tmp_path / "other.pth")


def test_weights_saved_from_several_gpus_fit(tmp_path: Path) -> None:
    content = _content()
    content["state_dict"] = {f"module.{k}": v for k, v in content["state_dict"].items()}
    torch.save(content, tmp_path / "parallel.pth")
    assert detector.load_detector(CONFIG, tmp_path / "parallel.pth").classes == CLASSES


def test_class_names_come_from_the_configuration_if_the_checkpoint_has_none(
    tmp_path: Path,
) -> None:
    torch.save(_content()["state_dict"], tmp_path / "bare.pth")
    assert detector.load_detector(CONFIG, tmp_path / "bare.pth").classes == CLASSES
    without_names = tmp_path / "unnamed.py"
    without_names.write_text(CONFIG.read_text().replace('("circle", "square", "star")', "()"))
    with pytest.raises(UsageError, match=r"has 3 classes, and .* names none; write metainfo"):
        detector.load_detector(without_names, tmp_path / "bare.pth")
    without_names.write_text(CONFIG.read_text().replace('("circle", "square", "star")', '"ball"'))
    with pytest.raises(UsageError, match=r"has 3 classes, and .* names 1 \(ball\)"):
        detector.load_detector(without_names, tmp_path / "bare.pth")


def test_the_name_of_a_single_class_needs_no_comma(tmp_path: Path) -> None:
    text = CONFIG.read_text().replace("num_classes=3", "num_classes=1")
    config = tmp_path / "single.py"
    config.write_text(text.replace('("circle", "square", "star")', '("balloon")'))
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(model.state_dict(), tmp_path / "single.pth")
    assert detector.load_detector(config, tmp_path / "single.pth").classes == ("balloon",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = (", "cannot be read"),
        ("raise ValueError('no')", "cannot be read"),
        ("x = 1", "no 'model' in it"),
        ("model = dict(type='NoSuchNetwork')", "no network can be built"),
    ],
)
def test_bad_configuration_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UsageError, match=message):
        detector.load_detector(tmp_path / "bad.py", CHECKPOINT)


def test_configuration_without_a_pipeline_is_an_error(tmp_path: Path) -> None:
    text = CONFIG.read_text()
    (tmp_path / "bad.py").write_text(text[: text.index("test_dataloader")])
    with pytest.raises(UsageError, match="no pipeline"):
        detector.load_detector(tmp_path / "bad.py", CHECKPOINT)


def test_bad_device_is_an_error() -> None:
    with pytest.raises(UsageError, match="--device tpu9000"):
        detector.load_detector(CONFIG, CHECKPOINT, device="tpu9000")
    with pytest.raises(UsageError, match=r"--device meta: not a device .* use --device cpu"):
        detector.load_detector(CONFIG, CHECKPOINT, device="meta")  # known by name alone
    for name in ("xpu", "mps"):
        if not getattr(torch, name).is_available():
            with pytest.raises(UsageError, match=f"--device {name}: not a device"):
                detector.load_detector(CONFIG, CHECKPOINT, device=name)
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="finds no GPU"):
            detector.load_detector(CONFIG, CHECKPOINT, device="cuda")
