"""The test of pages finds what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import blocks, compare, run_session

TEXT = """\
Words.

```python
print(1)
```

<!-- within 20 % -->
```text
1
```

<!-- not run: it installs something -->
```sh
pip install fastbp
```

More words.

```pycon
>>> 1 + 1
3
```
"""


def test_blocks_have_their_lines_and_comments() -> None:
    found = blocks(TEXT)
    assert [block.language for block in found] == ["python", "text", "sh", "pycon"]
    assert [block.line for block in found] == [4, 9, 14, 20]
    assert [block.below_code for block in found] == [False, True, True, False]
    assert found[1].tolerance == 0.2
    assert found[2][3:5] == ("not run", "it installs something")


def test_a_wrong_session_fails() -> None:
    with pytest.raises(AssertionError, match="Expected"):
        run_session(blocks(TEXT)[3], Path("page.md"), {})


@pytest.mark.parametrize(
    ("printed", "shown", "tolerance"),
    [
        ("loss 0.1234\n", "loss 0.1234", None),
        ("loss 0.1234", "loss 0.1235", None),
        ("[ 1.0001  -2. ]", "[1.0 -2.]".replace("[1", "[ 1").replace(".]", ". ]"), None),
        ("History(7 epochs in 3 ms)", "History(7 epochs in ...)", None),
        ("12 epochs, 97.1%", "10 epochs, 96.0%", 0.25),
        ("1.2e-07", "1.1e-07", 0.2),
    ],
)
def test_what_is_as_good_as_shown(printed, shown, tolerance) -> None:
    compare(printed, shown, tolerance)


@pytest.mark.parametrize(
    ("printed", "shown", "tolerance"),
    [
        ("loss 0.1234", "loss 0.1264", None),
        ("12 epochs", "11 epochs", None),
        ("12 epochs", "8 epochs", 0.25),
        ("loss 0.5", "score 0.5", None),
        ("loss 0.5 and more", "loss 0.5", None),
        ("1.2e-07", "1.2e-06", None),
        ("-0.5", "0.5", 0.5),
    ],
)
def test_what_is_not(printed, shown, tolerance) -> None:
    with pytest.raises(AssertionError):
        compare(printed, shown, tolerance)
