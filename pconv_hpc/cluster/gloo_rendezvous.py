"""Where Horovod's ranks find each other without MPI: a rendezvous server in the batch script.

``horovodrun`` would reach the nodes by ssh; under Slurm ``srun`` starts the ranks instead, and
``gloo_rank`` gives each of them its rank.
"""

import contextlib
import socket
from collections.abc import Iterator

from pconv_hpc.foundation.errors import PconvError


@contextlib.contextmanager
def rendezvous() -> Iterator[dict[str, str]]:
    """Serve a rendezvous while the block runs, and give the variables that lead ranks to it.

    Raises:
        PconvError: this Horovod cannot be imported.
    """
    try:
        from horovod.runner.http.http_server import RendezvousServer
    except ImportError as error:
        raise PconvError(f"LAUNCHER=gloo needs Horovod, which cannot be imported: {error}") from (
            error
        )
    server = RendezvousServer()
    port = server.start()
    server.init([])  # the ranks of all nodes stay until the server ends: nothing is cleared early
    try:
        yield {
            "HOROVOD_CONTROLLER": "gloo",
            "HOROVOD_CPU_OPERATIONS": "gloo",
            "HOROVOD_GLOO_RENDEZVOUS_ADDR": socket.gethostname(),
            "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        }
    finally:
        server.stop()
