"""Run the whole suite on this machine: pack, train, interrupt, resume, erase."""

from pathlib import Path

from pconv_hpc.options import cli

_EXAMPLES = """\
  make demo                                  # installs what is needed first
  pconv-hpc demo --out /tmp/demo --steps-per-epoch 100
"""


def main() -> None:
    """Parse, run the demo, print where the report is."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="folder for everything it writes"
    )
    parser.add_argument(
        "--steps-per-epoch", type=cli.positive_int, default=250, help="training steps per epoch"
    )
    parser.add_argument("--ranks", type=cli.positive_int, default=2, help="processes")
    parser.add_argument(
        "--mask-rcnn",
        nargs=2,
        type=Path,
        metavar=("CONFIG", "WEIGHTS"),
        help="also erase a striped disc by a click, with a network that finds it",
    )
    arguments = parser.parse_args()
    from pconv_hpc.demo.run import run_demo

    report = run_demo(
        arguments.out,
        num_ranks=arguments.ranks,
        steps_per_epoch=arguments.steps_per_epoch,
        mask_rcnn=arguments.mask_rcnn and tuple(arguments.mask_rcnn),
    )
    print(f"report: {report}")


if __name__ == "__main__":
    cli.run(main)
