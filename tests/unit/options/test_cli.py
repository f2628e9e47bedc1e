"""What --help says of defaults."""

from pconv_hpc.options.cli import build_parser


def test_a_default_is_shown_only_if_it_says_something() -> None:
    parser = build_parser("")
    parser.add_argument("--classes", default="", help="only these (default: all)")
    parser.add_argument("--overlay", action="store_true", help="draw pictures")
    parser.add_argument("--size", default=0, help="in pixels")
    text = parser.format_help()
    assert text.count("(default: ") == 2
    assert "in pixels (default: 0)" in text
    assert "(default: )" not in text
