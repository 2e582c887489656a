"""hatchling, but a wheel needs Numba to be built, and an editable installation does not."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from hatchling import build as _hatchling
from hatchling.build import build_editable as build_editable
from hatchling.build import build_sdist as build_sdist
from hatchling.build import build_wheel as build_wheel
from hatchling.build import get_requires_for_build_editable as get_requires_for_build_editable
from hatchling.build import get_requires_for_build_sdist as get_requires_for_build_sdist


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What fastbp needs when it runs: the wheel's machine code is made by Numba, if it has any."""
    hatchling = _hatchling.get_requires_for_build_wheel(config_settings)
    if os.environ.get("FASTBP_OBJECTS") == "0":
        return hatchling
    text = Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8")
    runtime: list[str] = tomllib.loads(text)["project"]["dependencies"]
    return [*hatchling, *runtime]
