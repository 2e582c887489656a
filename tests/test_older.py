"""What older versions left behind is refused with a sentence that says what to do."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path

import pytest

from fastbp import older

PICKLES = Path(__file__).parent / "pickles"
"""Made by the commit of their names, before pickles had a format number."""


@pytest.mark.slow  # imports scikit-learn
@pytest.mark.parametrize("path", sorted(PICKLES.glob("*.pickle")), ids=lambda path: path.stem)
def test_a_pickle_from_before_says_what_to_do(path) -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r"is now fastbp\..*made that pickle.*params"
    ) as e:
        pickle.loads(path.read_bytes())
    assert older.MEND in str(e.value)


@pytest.mark.parametrize("name", older.MOVED)
def test_a_module_that_has_moved_names_its_place(name) -> None:
    new = f"fastbp.{older.MOVED[name]}"
    with pytest.raises(ModuleNotFoundError, match=f"^fastbp.{name} is now {new}. ") as caught:
        importlib.import_module(f"fastbp.{name}")
    assert caught.value.name == f"fastbp.{name}"
    importlib.import_module(new)


def test_other_modules_are_as_missing_as_ever() -> None:
    for name in ("fastbp.nothing", "losses_of_another_package", "fastbp.mlp.losses"):
        with pytest.raises(ModuleNotFoundError, match="No module named"):
            importlib.import_module(name)


def test_one_finder_is_enough() -> None:
    before = list(sys.meta_path)
    older.name_moved_modules()
    assert sys.meta_path == before


@pytest.mark.parametrize(
    ("found", "said"), [(None, "has no format number"), (7, "has the format 7")]
)
def test_another_format_is_refused(found, said) -> None:
    older.check_format("an MLP", 2, 2)
    with pytest.raises(older.PickleError, match=f"this pickle of an MLP {said}.*reads format 2"):
        older.check_format("an MLP", found, 2)
