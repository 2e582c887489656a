"""What the gallery makes of the examples and their index."""

from __future__ import annotations

import ast

import pytest

gallery = pytest.importorskip("gallery", reason="the site needs the extra docs")

INDEX = """# Examples

Before the first section.

- [99_not_in_a_section.py](99_not_in_a_section.py): left out.

## First nets & more

Needs `numpy`, see [the docs](../docs/index.md).

- [01_one.py](01_one.py): says
  something.
- [02_two.py](02_two.py): says more.

![A picture](pictures/01_one.png)

## Nothing here

Text alone.

## The lectures

- [01_three.py](lectures/01_three.py): a lecture (TJ).

| | |
| --- | --- |
| TJ | A club |
"""


def test_sections_have_their_examples_in_order() -> None:
    first, lectures = gallery.sections(INDEX)
    assert first.title == "First nets & more"
    assert first.folder == "first_nets_more"
    assert first.part == "examples"
    assert first.entries == [("01_one.py", "says something."), ("02_two.py", "says more.")]
    assert first.intro == ["Needs `numpy`, see [the docs](../docs/index.md)."]
    assert lectures.part == "lectures"
    assert lectures.entries == [("lectures/01_three.py", "a lecture (TJ).")]


def test_markdown_becomes_restructuredtext() -> None:
    first, lectures = gallery.sections(INDEX)
    assert gallery.as_rst(first.intro[0]) == "Needs ``numpy``, see the docs."
    assert gallery.as_rst(lectures.intro[0]) == "- **TJ**: A club"


@pytest.mark.parametrize(
    ("docstring", "title"),
    [
        ("A first regression: scaled columns, a score.\n\nMore.", "A first regression"),
        ("Watch a net\nlearn (ECE448, ID2223).", "Watch a net learn"),
        ("Rates too small, good; `f` suggests one.", "Rates too small, good"),
        ("One file (fastbp/plain.py) beside `MLP`", "One file (fastbp/plain.py) beside `MLP`"),
    ],
)
def test_titles(docstring, title) -> None:
    assert gallery.title_of(docstring) == title


def test_a_staged_example_has_a_title_and_its_code(tmp_path, monkeypatch) -> None:
    examples = tmp_path / "examples"
    (examples / "pictures").mkdir(parents=True)
    (examples / "pictures" / "01_one.png").write_bytes(b"")
    path = examples / "01_one.py"
    path.write_text('"""One: two.\n\nThree.\n"""\n\nprint("four")\n')
    monkeypatch.setattr(gallery, "EXAMPLES", examples)
    text = gallery.staged(path)
    assert ast.get_docstring(ast.parse(text)).splitlines() == [
        "One", "===", "", "", "One: two.", "", "Three.", "",
        "Run it with ``python examples/01_one.py``.", "", ".. image:: /gallery/pictures/01_one.png",
    ]  # fmt: skip
    assert text.endswith('\n\nprint("four")\n')
    assert "# sphinx_gallery_thumbnail_path = 'gallery/pictures/01_one.png'\n" in text
    monkeypatch.setitem(gallery.RUN, "one", ["--frames", "9"])
    text = gallery.staged(path)
    assert "prints and draws what is below" in text
    assert ".. image::" not in text
    assert "thumbnail_path" not in text  # sphinx-gallery takes the first that the run has drawn


def test_an_example_without_a_docstring_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gallery, "EXAMPLES", tmp_path)
    (tmp_path / "01_one.py").write_text("print(1)\n")
    with pytest.raises(gallery.ConfigError, match="must begin with a docstring"):
        gallery.staged(tmp_path / "01_one.py")


def test_an_example_without_pictures_is_drawn_as_code(tmp_path) -> None:
    gallery.draw_code("import numpy\n\n\nnet = MLP((2, 3, 1))\n", tmp_path / "code.png")
    with gallery.Image.open(tmp_path / "code.png") as image:
        assert image.size == gallery.THUMBNAIL
        rows = [{image.getpixel((x, y)) for x in range(200)} for y in range(image.height)]
    inked = [y for y, colors in enumerate(rows) if len(colors) > 1]
    assert inked
    assert max(inked) < 40  # one line: imports are left out


def test_examples_write_beside_themselves(tmp_path) -> None:
    path = tmp_path / "01_xor.py"
    path.write_text('"""Exclusive or."""\nparser.add_argument("--folder")\n')
    names: dict[str, object] = {"__doc__": ""}
    given = gallery.options_of({}, {"src_file": str(path), "example_globals": names})
    assert given == ["--folder", "pictures"]
    assert names["__doc__"] == "Exclusive or."
    path.write_text('"""Exclusive or."""\n')
    assert gallery.options_of({}, {"src_file": str(path), "example_globals": names}) == []
