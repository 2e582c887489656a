"""``python -m fastbp demo | info | warmup``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fastbp import __version__
from fastbp.commands import DTYPES, UNCOMPILED, demo, info, warmup
from fastbp.machine.jit import compiles


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The command and its options; those of this process by default.

    Returns
    -------
    int
        The exit status: 0, 1 when the command could not do its work, 130 after Ctrl-C. Bad
        arguments leave the program with status 2.
    """
    args = _parser().parse_args(argv)
    if args.command == "info":
        return info.run()
    if not compiles():
        print(f"{UNCOMPILED}: unset it to run this command", file=sys.stderr)
        return 1
    try:
        if args.command == "warmup":
            return warmup.run(DTYPES if args.dtype == "both" else (args.dtype,))
        return demo.run(args.epochs)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastbp", description="Train small neural networks on a CPU, fast."
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    text = "train a digit classifier, with scikit-learn's beside it"
    command = commands.add_parser("demo", help=text, description=text.capitalize() + ".")
    command.add_argument("--epochs", type=_count, default=demo.EPOCHS, help="default: %(default)s")
    text = "describe the processor, the cache of compiled code and the versions"
    commands.add_parser("info", help=text, description=text.capitalize() + ".")
    text = "compile everything into the cache, so that the first fit need not"
    command = commands.add_parser("warmup", help=text, description=text.capitalize() + ".")
    command.add_argument(
        "--dtype", choices=(*DTYPES, "both"), default="both", help="default: %(default)s"
    )
    return parser


def _count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
