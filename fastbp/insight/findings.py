"""What `diagnose` finds, as objects that print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from fastbp import tables

SEVERITIES = ("error", "warning", "hint")
"""In order: training cannot work, works badly, may do better."""


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes
    ----------
    name : str
        The fault, such as "dead units".
    severity : {"error", "warning", "hint"}
        Whether training cannot work, works badly, or may do better.
    seen : str
        What was measured, in words.
    advice : str
        What to do.
    values : dict of str to float
        The measured values behind it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, diagnose
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> found = diagnose(MLP((2, 8, 1), weight_init="zeros", seed=0), X, X[:, 0])[0]
    >>> found.name, found.severity
    ('identical units', 'error')
    """

    name: str
    severity: str
    seen: str
    advice: str
    values: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.severity}: {self.name}: {self.seen}\n    {self.advice}"


@dataclass(frozen=True)
class LayerReport:
    """The measurements of one layer.

    Attributes
    ----------
    number : int
        Its index in ``net.weights``, counted from 0; the last is the output layer.
    activation : str
    units : int
    weight_norm, gradient_norm : float
        Euclidean norms of the weights and of the gradient of the loss with respect to them.
    update_ratio : float
        Norm of the change of the weights divided by the norm of the weights, the median over some
        updates; NaN where no batch had any weight.
    dead, saturated : float
        Share of the units whose output is 0 for every row (ReLU), and share of the units whose
        output is at an end of its range for nearly every row (sigmoid, hard_sigmoid, tanh). Those
        outputs count that ought to be elsewhere by their targets.
    """

    number: int
    activation: str
    units: int
    weight_norm: float
    gradient_norm: float
    update_ratio: float
    dead: float
    saturated: float

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        return (
            str(self.number), self.activation, str(self.units), f"{self.weight_norm:.3g}",
            f"{self.gradient_norm:.3g}", f"{self.update_ratio:.2g}", f"{self.dead:.0%}",
            f"{self.saturated:.0%}",
        )  # fmt: skip


HEAD = (
    "layer", "activation", "units", "weight norm", "gradient norm", "update / weight", "dead",
    "saturated",
)  # fmt: skip


class Diagnosis(Sequence[Finding]):
    """The findings of `diagnose`, the gravest first, and the measurements of each layer.

    It prints as a report. As a sequence it holds the findings; ``"dead units" in diagnosis`` tells
    whether there is one of that name.

    Attributes
    ----------
    findings : list of Finding
    layers : list of LayerReport
    loss : float
        Loss on the examined rows, penalties included.
    what : str
        The net as text, ``repr(net)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, diagnose
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> diagnosis = diagnose(MLP((2, 8, 1), weight_init="zeros", seed=0), X, X[:, 0])
    >>> diagnosis, len(diagnosis.layers)
    (Diagnosis(identical units, dead units), 2)
    """

    def __init__(
        self, findings: list[Finding], layers: list[LayerReport], loss: float, what: str
    ) -> None:
        self.findings = sorted(findings, key=lambda found: SEVERITIES.index(found.severity))
        self.layers = layers
        self.loss = loss
        self.what = what

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: Any) -> Any:
        """A finding by its index or by its name."""
        if isinstance(index, str):
            for found in self.findings:
                if found.name == index:
                    return found
            raise KeyError(f"no finding {index!r}; there are {', '.join(self.names) or 'none'}")
        return self.findings[index]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __contains__(self, item: object) -> bool:
        return item in self.findings or item in self.names

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the findings, the gravest first."""
        return tuple(found.name for found in self.findings)

    def __repr__(self) -> str:
        return f"Diagnosis({', '.join(self.names) or 'no problems found'})"

    def _title(self) -> str:
        count = len(self)
        found = f"{count or 'No'} problem{'' if count == 1 else 's'} found"
        return f"{found} (loss {self.loss:.4g}): {self.what}"

    def __str__(self) -> str:
        table = tables.as_lines([HEAD, *(layer.cells() for layer in self.layers)])
        return "\n".join((self._title(), *map(str, self.findings), *table))

    def _repr_html_(self) -> str:
        """The report for a notebook."""
        items = "".join(
            f"<li><b>{escape(found.severity)}: {escape(found.name)}</b>: {escape(found.seen)}"
            f"<br>{escape(found.advice)}</li>\n"
            for found in self.findings
        )
        table = tables.as_html(HEAD, [layer.cells() for layer in self.layers])
        return f"<p>{escape(self._title())}</p>\n<ul>\n{items}</ul>\n{table}"
