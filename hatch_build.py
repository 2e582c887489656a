"""Puts objects into the wheel: see docs/objects.md.

``FASTBP_OBJECTS`` says whether: "0" makes a wheel without, "1" fails where they cannot be made.
Otherwise a wheel without them is made there, and a warning says why.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TAGS = {
    # No symbol of the C library but memset: what holds is the oldest manylinux that pip knows.
    "linux": "manylinux_2_17_{machine}",
    "darwin": "macosx_11_0_{machine}",
}


class ObjectsHook(BuildHookInterface):
    """Compiles the objects and names the platform that the wheel is for."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the objects; an editable installation has none."""
        wanted = os.environ.get("FASTBP_OBJECTS", "")
        if version == "editable" or wanted == "0":
            return
        folder = Path(self.root, "build", "objects")
        path = os.pathsep.join(filter(None, [self.root, *sys.path]))
        command = [sys.executable, "-m", "fastbp", "build", "--level", "all", "--to", str(folder)]
        environment = os.environ | {"PYTHONPATH": path, "FASTBP_OBJECTS": "0"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            reason = done.stderr.strip()
            if wanted == "1":
                raise RuntimeError(f"the objects could not be made:\n{reason}")
            self.app.display_warning(f"this wheel has no objects: {reason}")
            return
        self.app.display_info(done.stdout)
        for file in folder.iterdir():
            build_data["force_include"][str(file)] = f"fastbp/objects/{file.name}"
        build_data["pure_python"] = False
        tag = TAGS[sys.platform].format(machine=platform.machine())
        build_data["tag"] = f"py3-none-{tag}"
