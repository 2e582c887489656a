"""The directive `command-help NAME`: what `python -m fastbp NAME --help` prints."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from fastbp.__main__ import main

WIDTH = "80"  # characters of a line


def help_of(*command: str) -> str:
    """What `--help` prints in a terminal of that width."""
    printed = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": WIDTH}),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),  # argparse ends the program after its help
    ):
        main([*command, "--help"])
    return printed.getvalue()


class CommandHelp(Directive):
    """The help of a command, or without an argument that of the program."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """A block of text."""
        return [nodes.literal_block(text=help_of(*self.arguments), language="text")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
