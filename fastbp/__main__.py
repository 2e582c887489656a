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

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    command = add("demo", "train a digit classifier, with scikit-learn's beside it")
    command.add_argument("--epochs", type=_count, default=demo.EPOCHS, help="default: %(default)s")
    add("info", "describe the processor, the cache of compiled code and the versions")
    command = add("warmup", "compile everything into the cache, so that the first fit need not")
    command.add_argument(
        "--dtype", choices=(*DTYPES, "both"), default="both", help="default: %(default)s"
    )
    command = add("build", "compile nets beforehand, into files that need no Numba to be loaded")
    command.add_argument(
        "--level", metavar="NAME", default="native", help="of processors: native, all, or a name"
    )
    command.add_argument("--to", metavar="FOLDER", help="default: where fastbp looks for them")
    accepted = "what save has written, or a model of ONNX"
    command = add("show", "say what is in a file of a net or an estimator, without running it")
    command.add_argument("file", metavar="FILE", help=accepted)
    command.add_argument("--json", action="store_true", help="print it for programs, as JSON")
    command = add("export", "write the net or the estimator of a file as ONNX, C or Python")
    command.set_defaults(parser=command)
    command.add_argument("file", metavar="FILE", help=accepted)
    command.add_argument("--onnx", metavar="OUT", help="write a model of ONNX")
    command.add_argument("--c", metavar="FOLDER", help="write a header and a source in C99")
    command.add_argument("--python", metavar="OUT", help="write a program that needs NumPy alone")
    command.add_argument("--dtype", choices=export.DTYPES, help="default: that of the net")
    command.add_argument(
        "--labels", metavar="A,B,C", help="names of the classes; an estimator has its own"
    )
    command.add_argument("--name", help="in C, what all names begin with; default: net")
    command.add_argument(
        "--calibration", metavar="ROWS", help="for int8: some hundred rows of inputs, .csv or .npy"
    )
    command.add_argument("--training", action="store_true", help="in C, with a step of training")
    return parser


def _count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
