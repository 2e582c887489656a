"""Text in C: names, numbers, arrays, comments, and templates of functions.

A template is C in which ``NAME_`` stands for the prefix of all names, ``REAL`` for ``float`` or
``double``, and ``_F`` at the end of a number or function for ``f`` or nothing: ``exp_F(-1.0_F)``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks

KEYWORDS = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t
    char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
    constinit continue decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq
    nullptr operator or or_eq private protected public register reinterpret_cast requires restrict
    return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename typeof union unsigned using virtual void
    volatile wchar_t while xor xor_eq
    """.split()
)
"""Keywords of C and of C++."""
HEADERS = frozenset(
    """
    assert complex ctype errno fenv float inttypes iso646 limits locale math memory new random ratio
    setjmp signal stdalign stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib
    stdnoreturn string strings tgmath threads time uchar unistd wchar wctype
    """.split()
)
"""Headers of compilers, which another file of this name would hide."""
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""What Windows takes for a device, whatever the ending."""
LONGEST_NAME = 40
WIDTH = 96
"""Characters of a line of numbers, besides its indent."""


def checked_name(name: Any) -> str:
    """A prefix of names in C that is also a name of files.

    Parameters
    ----------
    name : str

    Raises
    ------
    ValueError, TypeError
        For all else, keywords, and the names of standard headers.
    """
    accepted = (
        f"name must be an identifier of C, at most {LONGEST_NAME} letters, digits and single "
        "underscores after a letter, such as 'net'"
    )
    if not isinstance(name, str):
        raise TypeError(f"{accepted}; got {checks.described(name)}")
    if not re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", name) or len(name) > LONGEST_NAME:
        raise ValueError(f"{accepted}; got {name!r}")
    if name in KEYWORDS:
        raise ValueError(f"{accepted}; got {name!r}, a keyword of C or C++. Take {name}_net")
    if name.lower() in HEADERS or DEVICES.fullmatch(name):
        raise ValueError(
            f"{accepted}; got {name!r}, which the compiler or the system takes for a file of its "
            f"own. Take {name}_net"
        )
    return name


def filled(template: str, name: str, single: bool) -> str:
    """A template as C; what stands between quotation marks stays as it is.

    Parameters
    ----------
    template : str
    name : str
    single : bool
        Whether it is to compute in float.
    """
    words = {
        "NAME_": f"{name}_",
        "UPPER_": f"{name.upper()}_",
        "REAL": "float" if single else "double",
        "_F": "f" if single else "",
    }
    pattern = r'"(?:[^"\\]|\\.)*"|\bNAME_|\bUPPER_|\bREAL\b|(?<=[\w.])_F\b'
    return re.sub(pattern, lambda found: words.get(found[0], found[0]), template)


def real(value: float | np.floating, single: bool) -> str:
    """A number as a constant with the fewest digits that give it back.

    Parameters
    ----------
    value : float
    single : bool
        Whether to round it to float.
    """
    return f"{np.float32(value)!s}f" if single else repr(float(value))


def whole(values: npt.NDArray[np.integer]) -> list[str]:
    """Whole numbers of an array, flat, as constants; the least int32 has no constant of its own."""
    return [str(value) for value in values.ravel().tolist()]


def long_long(value: int) -> str:
    """A whole number of 64 bits as a constant; the least has no constant of its own in C."""
    return f"{value}LL" if value > -(2**63) else f"({value + 1}LL - 1)"


def array(kind: str, name: str, values: Sequence[str], row: int = 0, label: str = "") -> str:
    """A constant array with an initialiser in rows that can be read.

    Parameters
    ----------
    kind : str
        Its type with qualifiers, such as "static const float".
    name : str
    values : sequence of str
    row : int, optional
        Numbers of a row, each of which begins a line; all by default.
    label : str, optional
        What a row is: rows of several lines are counted in comments.
    """
    row = row or len(values)
    lines: list[str] = []
    for first in range(0, len(values), row):
        wrapped = _wrapped(values[first : first + row])
        if len(wrapped) > 1 and label:
            lines.append(f"/* {label} {first // row} */")
        lines += wrapped
    inner = "\n".join(f"    {line}" for line in lines)
    return f"{kind} {name}[{len(values)}] = {{\n{inner}\n}};\n"


def _wrapped(values: Sequence[str]) -> list[str]:
    """Values, each with its comma, in lines of at most WIDTH."""
    lines = [""]
    for value in values:
        if lines[-1] and len(lines[-1]) + len(value) + 2 > WIDTH:
            lines.append("")
        lines[-1] += f" {value}," if lines[-1] else f"{value},"
    return lines


def comment(lines: Sequence[str]) -> str:
    """A comment of several lines, whatever they hold; without quotation marks, see `filled`.

    Parameters
    ----------
    lines : sequence of str
    """
    safe = []
    for line in lines:
        text = line.encode("ascii", "backslashreplace").decode()
        for found, instead in (("*/", "* /"), ("/*", "/ *"), ("??", "? ?"), ('"', "'")):
            text = text.replace(found, instead)
        safe.append(text.rstrip("\\ "))
    first, *others = safe
    if not others:
        return f"/* {first} */\n"
    return "\n".join([f"/* {first}", *(f" * {line}".rstrip() for line in others), " */\n"])


def string(value: str) -> str:
    """Text as a constant, in UTF-8; a zero byte would end it.

    Parameters
    ----------
    value : str
    """
    parts = []
    for byte in value.encode("utf-8"):
        plain = 32 <= byte < 127 and chr(byte) not in '"\\?'
        parts.append(chr(byte) if plain else f"\\{byte:03o}")
    return f'"{"".join(parts)}"'
