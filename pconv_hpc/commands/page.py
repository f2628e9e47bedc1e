"""Erase objects from photos in a browser: point at one, see it gone, save the result.

The page runs where the photos are: on a cluster's login or compute node, or here. It listens on a
socket file that only you can reach, or with --port on a port of this machine, and prints the link
to open and the ssh line that brings the page to your own machine. The link works once, and makes
your browser, and no other, a user of the page; each time it was used another one is printed.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from pconv_hpc.foundation.errors import EXIT_DONE, UsageError
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS
from pconv_hpc.options import cli

_EXAMPLES = """\
  # one photo; results go to the folder clean
  pconv-hpc page beach.jpg --out clean

  # on a cluster, photos of a folder, with a network of your own beside the one in the package;
  # then type the printed ssh line on your own machine, and open the link there
  pconv-hpc page photos --out clean --weights runs/imagenet_256 --weights shipped

  # on this machine, on a port
  pconv-hpc page beach.jpg --out clean --port 8080
"""
_SECRET = "PCONV_PAGE_TOKEN"
_SHIPPED = "shipped"  # what people call the network in the package


def main() -> int:
    """Parse, listen, serve."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "things", type=Path, nargs="*", default=[Path()], metavar="PATH",
        help="photos, folders of photos, results of pconv-hpc erase, training runs or folders of "
        "them (default: the folder you are in)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for results; without it only downloads")
    parser.add_argument("--read-only", action="store_true", help="write nothing but what is shown")
    networks = parser.add_argument_group("networks")
    networks.add_argument(
        "--weights", action="append", default=[], metavar="WEIGHTS",
        help="network that fills holes: weight file or run folder; several can be compared "
        "(default: shipped, the network that comes with pconv_hpc)",
    )  # fmt: skip
    networks.add_argument("--config", help="MMDetection's, as in pconv-hpc segment")
    networks.add_argument(
        "--checkpoint", type=Path, help="weights of the network that finds objects"
    )
    networks.add_argument("--device", help="where it runs: cpu, cuda or cuda:1")
    networks.add_argument(
        "--max-pixels",
        type=cli.positive_int,
        help="larger photos are refused (default: 200 million)",
    )
    place = parser.add_argument_group("where it listens")
    place.add_argument("--socket", type=Path, help="socket file, in a folder of mode 0700")
    place.add_argument("--port", type=int, help="TCP port instead of a socket; 0: any free one")
    place.add_argument(
        "--host", default="127.0.0.1", help="with --port: address; others than this machine's own "
        "let everybody on the network try"
    )  # fmt: skip
    place.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="name of a proxy that the page is reached by; may be given many times; *: any name, "
        "behind a proxy that knows its users",
    )  # fmt: skip
    arguments = parser.parse_args()
    if arguments.socket is not None and arguments.port is not None:
        raise UsageError("--socket and --port: expected one of them")
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UsageError(
            "the page needs Starlette and uvicorn: pip install 'pconv-hpc[page]', or in a checkout "
            "make install PROFILE=erase"
        )
    weights = tuple(map(_weights, arguments.weights or [_SHIPPED]))

    from pconv_hpc.page.listening import listen_on_port, listen_on_socket
    from pconv_hpc.page.named import name_all
    from pconv_hpc.page.serving import Entrance, serve_page
    from pconv_hpc.page.settings import PageSettings

    settings = PageSettings(
        out=arguments.out and arguments.out.absolute(),
        weights=weights,
        config=arguments.config,
        checkpoint=arguments.checkpoint and arguments.checkpoint.absolute(),
        device=arguments.device,
        max_pixels=arguments.max_pixels,
        read_only=arguments.read_only,
    )
    named = name_all(arguments.things)
    if arguments.port is None:
        listener = listen_on_socket(arguments.socket)
    else:
        listener = listen_on_port(arguments.host, arguments.port)
    entrance = Entrance(
        listener=listener, hosts=arguments.allow_host, secret=os.environ.pop(_SECRET, "")
    )
    serve_page(named, settings, entrance, _say)
    return EXIT_DONE


def _weights(text: str) -> Path:
    """Return a network's file or folder, the one in the package by its name."""
    path = Path(text)
    if text == _SHIPPED and not path.exists():
        return SHIPPED_WEIGHTS
    return path.absolute()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    cli.run(main)
