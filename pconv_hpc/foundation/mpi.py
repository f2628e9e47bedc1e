"""Ranks that share work over MPI, where no gradient is involved; one process without MPI.

mpi4py starts MPI the moment it is imported and ends the process where it cannot, on a login node
for example. So it is imported only by a process that a launcher started as one of several.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from pconv_hpc.foundation.errors import EXIT_FAILED, EXIT_INTERRUPTED, PconvError
from pconv_hpc.foundation.launchers import launched_size, not_connected


class World:
    """All ranks of a run, seen from one of them. With one rank every call is trivial and local."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        expected = launched_size(environment)
        self._comm: Any = _connect(expected, environment) if expected > 1 else None
        self.rank: int = self._comm.Get_rank() if self._comm else 0
        self.size: int = expected

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, the one that writes common files and talks."""
        return self.rank == 0

    def barrier(self) -> None:
        """Return once every rank has come here."""
        if self._comm:
            self._comm.Barrier()

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's ``value``, a plain Python object, on every rank."""
        return self._comm.bcast(value, root=0) if self._comm else value

    def gather(self, value: Any) -> list[Any] | None:
        """Return every rank's ``value`` in the order of ranks on rank 0, and None on the others."""
        gathered: list[Any] | None = self._comm.gather(value, root=0) if self._comm else [value]
        return gathered

    @contextlib.contextmanager
    def ending_together(self) -> Iterator[None]:
        """End all ranks when one of them raises inside the block.

        The others may be waiting for it in a collective call, forever. The rank says what
        happened, and its exit code becomes that of all.
        """
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            if self._comm is None:
                raise
            if isinstance(error, PconvError):
                code, text = error.exit_code, f"error (rank {self.rank}): {error}\n"
            elif isinstance(error, KeyboardInterrupt):
                code, text = EXIT_INTERRUPTED, f"rank {self.rank} was interrupted\n"
            else:
                code, text = EXIT_FAILED, traceback.format_exc()
            sys.stdout.flush()
            sys.stderr.write(text)
            sys.stderr.flush()
            self._comm.Abort(code)


def _connect(expected: int, environment: Mapping[str, str]) -> Any:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise PconvError(
            f"{expected} ranks were started, but mpi4py cannot be used ({error}); install it "
            "against this cluster's MPI: pip install --no-binary mpi4py mpi4py"
        ) from error
    comm = MPI.COMM_WORLD
    if comm.Get_size() != expected:
        raise not_connected("MPI", comm.Get_size(), expected, environment)
    return comm
