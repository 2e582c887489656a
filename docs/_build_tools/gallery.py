"""The gallery: examples/README.md says what stands in which section, and in which order.

sphinx-gallery wants a title in each program's docstring and a header in each folder. The examples
have neither, so copies of them that have both are written below build/, and it reads those.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from sphinx.application import Sphinx
from sphinx.errors import ConfigError
from sphinx_gallery.scrapers import figure_rst

DOCS = Path(__file__).resolve().parents[1]
EXAMPLES = DOCS.parent / "examples"
STAGED = DOCS.parent / "build" / "docs" / "examples"
MADE = "pictures"
"""The folder that examples write to, beside them: where they say so, no path of a machine shows."""
PICTURES = DOCS / "gallery" / "pictures"
"""Pictures of examples that are not run, and thumbnails of those without any."""
PARTS = {
    "examples": "Programs for the usual jobs, from a first net to many machines. Each is one page.",
    "lectures": "",
}
"""The galleries, and what stands above them; the only section of a part says that itself."""
RUN = {
    "threshold_units": [],
    "perceptron": [],
    "xor": [],
    "linear_network": [],
    "sigmoid_network": [],
    "computational_graph": [],
    "linear_regression": [],
    "gradient_descent": [],
    "learning_rate": [],
    "any_function": [],
    "vanishing_gradients": [],
    "local_minima": [],
}
"""Examples that are run: fast ones that say something with a picture or a few lines of text."""
DULL = ("import ", "from ", "#", "parser", "folder", "options", "rng")
"""How lines begin that a thumbnail leaves out."""
THUMBNAIL = (400, 280)  # pixels; the size that sphinx-gallery scales pictures to


class Entry(NamedTuple):
    """An example: its path below examples/, and what the index says of it."""

    path: str
    text: str


class Section(NamedTuple):
    """A section of examples/README.md."""

    title: str
    intro: list[str]
    entries: list[Entry]

    @property
    def part(self) -> str:
        """The gallery it belongs to."""
        return "lectures" if self.entries[0].path.startswith("lectures/") else "examples"

    @property
    def folder(self) -> str:
        """Its title as the name of a folder."""
        return re.sub(r"\W+", "_", self.title.lower()).strip("_")


def sections(index: str) -> list[Section]:
    """The sections of the index that have examples."""
    found = []
    for chunk in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title, _, body = chunk.partition("\n")
        paragraphs = re.split(r"\n\s*\n|\n(?=- \[)", body.strip())
        entries = [
            Entry(match[1], " ".join(match[2].split()))
            for paragraph in paragraphs
            if (match := re.fullmatch(r"- \[.+?\]\((.+?\.py)\): (.+)", paragraph, re.DOTALL))
        ]
        intro = [text for text in paragraphs if not text.startswith(("- [", "!["))]
        if entries:
            found.append(Section(title.strip(), intro, entries))
    return found


def as_rst(markdown: str) -> str:
    """A paragraph or a table of the index in reStructuredText."""
    text = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", markdown)
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)
    if not text.startswith("|"):
        return text
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) == 2 and not set(row[0]) <= {"-", ":"}]
    return "\n".join(f"- **{name}**: {said}" for name, said in rows)


def heading(title: str, line: str = "=") -> str:
    """A heading of reStructuredText."""
    return f"{title}\n{line * len(title)}\n"


def title_of(docstring: str) -> str:
    """What a program is called: its first sentence, up to a colon or a semicolon."""
    sentence = re.split(r"[:;]\s|[.](?:\s|$)", " ".join(docstring.split()), maxsplit=1)[0]
    return re.sub(r"\s*\([A-Z][\w, ]+\)$", "", sentence).rstrip(".")


def pictures_of(path: Path) -> list[Path]:
    """The pictures of an example that the repository holds."""
    return sorted((path.parent / "pictures").glob(f"{path.name[:3]}*"))


def is_run(path: Path) -> bool:
    """Whether the site shows what an example prints and draws."""
    return path.stem[3:] in RUN


def staged(path: Path) -> str:
    """The text of an example with a title, where it stands, and pictures if it is not run."""
    text = path.read_text(encoding="utf-8")
    node = ast.parse(text).body[0]
    said = ast.get_docstring(ast.parse(text))
    if said is None or not isinstance(node, ast.Expr):
        raise ConfigError(f"{path} must begin with a docstring")
    name = path.relative_to(EXAMPLES.parent).as_posix()
    title = title_of(said)
    parts = [heading(title), said.removeprefix(f"{title}.").lstrip()]
    if is_run(path):
        parts.append(f"``python {name}`` prints and draws what is below.")
    else:
        parts.append(f"Run it with ``python {name}``.")
        parts += [f".. image:: /gallery/pictures/{kept.name}" for kept in pictures_of(path)]
    docstring = '"""' + "\n\n".join(parts).replace("\\", "\\\\") + '\n"""\n'
    lines = text.splitlines(keepends=True)
    code = "".join(lines[node.end_lineno :])
    thumbnail = "" if is_run(path) and pictures_of(path) else thumbnail_of(path, code)
    return docstring + thumbnail + code


def thumbnail_of(path: Path, code: str) -> str:
    """The line that chooses a thumbnail: the first picture, or else the code, as a picture."""
    kept = pictures_of(path)
    name = kept[0].name if kept else f"{path.parent.name}_{path.stem}.png"
    if not kept:
        draw_code(code, PICTURES / name)
    return f"# sphinx_gallery_thumbnail_path = 'gallery/pictures/{name}'\n"


def draw_code(code: str, path: Path) -> None:
    """The first lines of a program that do something, as a picture."""
    lines = [x for x in code.splitlines() if x and not x.startswith(DULL)]
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono"), 17)
    image = Image.new("RGB", THUMBNAIL, "#f6f8fa")
    draw = ImageDraw.Draw(image)
    for i, line in enumerate(lines[:12]):
        color = "#6e7781" if line.lstrip().startswith("#") else "#24292f"
        draw.text((12, 10 + 22 * i), line[:50], fill=color, font=font)
    image.save(path)


def stage() -> None:
    """Write what sphinx-gallery reads."""
    index = sections((EXAMPLES / "README.md").read_text(encoding="utf-8"))
    unknown = RUN.keys() - {Path(e.path).stem[3:] for section in index for e in section.entries}
    if unknown:
        raise ConfigError(f"RUN of {__file__} names examples that are not there: {unknown}")
    shutil.rmtree(STAGED, ignore_errors=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for part, above in PARTS.items():
        own = [section for section in index if section.part == part]
        for section in own:
            folder = STAGED / part / section.folder if len(own) > 1 else STAGED / part
            line = "-" if len(own) > 1 else "="  # below the heading of the gallery, or its own
            said = [heading(section.title, line), *map(as_rst, section.intro)]
            write(folder / "GALLERY_HEADER.rst", "\n\n".join(said))
            for entry in section.entries:
                path = EXAMPLES / entry.path
                write(folder / path.name, staged(path))
                if not is_run(path):
                    for kept in pictures_of(path):
                        shutil.copyfile(kept, PICTURES / kept.name)
        if len(own) > 1:
            write(STAGED / part / "GALLERY_HEADER.rst", f"{heading(part.capitalize())}\n{above}\n")


def write(path: Path, text: str) -> None:
    """Write a file, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The page of each example by its path below the repository."""
    found = {}
    for path in STAGED.rglob("[0-9][0-9]_*.py"):
        page = path.relative_to(STAGED)
        where = "examples/lectures" if page.parts[0] == "lectures" else "examples"
        found[f"{where}/{path.name}"] = f"gallery/{page.with_suffix('').as_posix()}"
    return found


# ---- what sphinx-gallery calls ---------------------------------------------------------------


def place_of(folder: str) -> int:
    """Where a section stands in the index."""
    index = sections((EXAMPLES / "README.md").read_text(encoding="utf-8"))
    return [section.folder for section in index].index(Path(folder).name)


def options_of(conf: dict[str, Any], script_vars: dict[str, Any]) -> list[str]:
    """The arguments an example is run with; its docstring, which sphinx-gallery empties."""
    source = Path(script_vars["src_file"])
    text = source.read_text(encoding="utf-8")
    script_vars["example_globals"]["__doc__"] = ast.get_docstring(ast.parse(text))
    own = RUN[source.stem[3:]]
    return [*own, "--folder", MADE] if '"--folder"' in text else own


def pictures_made(block: Any, block_vars: dict[str, Any], conf: dict[str, Any]) -> str:
    """Take over the pictures that an example has written."""
    source = Path(block_vars["src_file"])
    shown = []
    for made in sorted((source.parent / MADE).glob(f"{source.name[:3]}*")):
        target = Path(next(block_vars["image_path_iterator"])).with_suffix(made.suffix)
        shutil.move(made, target)
        shown.append(figure_rst([str(target)], conf["src_dir"]))
    return "\n".join(shown)


def settings() -> dict[str, Any]:
    """What sphinx-gallery is told."""
    return {
        "examples_dirs": [str(STAGED / part) for part in PARTS],
        "gallery_dirs": [f"gallery/{part}" for part in PARTS],
        "filename_pattern": rf"[\\/]\d\d_({'|'.join(RUN)})\.py$",
        "subsection_order": "gallery.place_of",
        "within_subsection_order": "FileNameSortKey",
        "reset_argv": "gallery.options_of",
        "image_scrapers": ["gallery.pictures_made"],
        "capture_repr": (),
        "remove_config_comments": True,
        "download_all_examples": False,
        "show_signature": False,
        "write_computation_times": False,
        "min_reported_time": 1e6,
        "notebook_extensions": set(),
        "backreferences_dir": None,
        "thumbnail_size": THUMBNAIL,
        "inspect_global_variables": False,
    }


def setup(app: Sphinx) -> dict[str, Any]:
    """Stage the examples before sphinx-gallery looks for them."""
    stage()
    return {"parallel_read_safe": True, "parallel_write_safe": True}
