"""``python -m fastbp demo | info | warmup | build | show | export``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fastbp import __version__
from fastbp.commands import DTYPES, UNCOMPILED, build, demo, export, info, show, warmup
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
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        match args.command:
            case None:
                parser.print_help()
                return 0
            case "info":
                return info.run()
            case "show":
                return show.run(args.file, args.json)
            case "export":
                return _export(args)
        if not compiles():
            print(f"{UNCOMPILED}: unset it to run this command", file=sys.stderr)
            return 1
        if args.command == "build":
            return build.command(args.level, args.to)
        if args.command == "warmup":
            return warmup.run(DTYPES if args.dtype == "both" else (args.dtype,))
        return demo.run(args.epochs)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _export(args: argparse.Namespace) -> int:
    """Export, after what argparse cannot know: which options go together."""
    if args.onnx is None and args.c is None and args.python is None:
        args.parser.error("say where to: --onnx FILE, --c FOLDER or --python FILE, or several")
    for option in ("name", "training", "calibration"):
        if args.c is None and getattr(args, option):
            args.parser.error(f"--{option} goes with --c alone")
    if (args.dtype == "int8") != (args.calibration is not None):
        args.parser.error("--dtype int8 and --calibration go together")
    if args.dtype == "int8" and (args.onnx is not None or args.python is not None):
        args.parser.error("--dtype int8 is for --c alone; write the other files by another call")
    return export.run(
        args.file,
        onnx=args.onnx,
        c=args.c,
        python=args.python,
        name="net" if args.name is None else args.name,
        dtype=args.dtype,
        labels=args.labels,
        calibration=args.calibration,
        training=args.training,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastbp", description="Train small neural networks on a CPU, fast."
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    def add(name: str, text: str, more: str = "") -> argparse.ArgumentParser:
        description = f"{text[0].upper()}{text[1:]}. {more}".rstrip()
        return commands.add_parser(name, help=text, description=description)

    command = add("demo", "train a digit classifier with fastbp and scikit-learn, side by side")
    command.add_argument(
        "--epochs", type=_count, default=demo.EPOCHS, help="epochs to train; default: %(default)s"
    )
    add("info", "describe the processor, the cache of compiled code and library versions")
    command = add("warmup", "pre-compile all kernels, once per processor", warmup.ABOUT)
    command.add_argument(
        "--dtype", choices=(*DTYPES, "both"), default="both",
        help="compile for nets of this dtype; default: %(default)s",
    )  # fmt: skip
    command = add("build", "compile kernels into files that load without Numba")
    command.add_argument(
        "--level", metavar="NAME", default="native",
        help="which processors to compile for: native (this one), all, or the name of a level",
    )  # fmt: skip
    command.add_argument(
        "--to", metavar="FOLDER", help="output folder; default: the one that fastbp loads from"
    )
    accepted = "a file written by save, or an ONNX model"
    command = add("show", "describe the net or estimator in a file, without running any of it")
    command.add_argument("file", metavar="FILE", help=accepted)
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command = add("export", "write the net or estimator in a file as ONNX, C or Python")
    command.set_defaults(parser=command)
    command.add_argument("file", metavar="FILE", help=accepted)
    command.add_argument("--onnx", metavar="OUT", help="write an ONNX model")
    command.add_argument("--c", metavar="FOLDER", help="write a header and a source file in C99")
    command.add_argument("--python", metavar="OUT", help="write a module that needs only NumPy")
    command.add_argument(
        "--dtype", choices=export.DTYPES, help="data type of the output; default: that of the net"
    )
    command.add_argument(
        "--labels", metavar="A,B,C", help="class names; an estimator brings its own"
    )
    command.add_argument("--name", help="prefix of all names in C; default: net")
    command.add_argument(
        "--calibration", metavar="ROWS",
        help="for int8: a few hundred rows of inputs, as .csv or .npy",
    )  # fmt: skip
    command.add_argument("--training", action="store_true", help="add a training step to the C")
    return parser


def _count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
