"""What a fit leaves behind: loss and seconds by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """Loss and time of each finished epoch.

    Attributes
    ----------
    loss : list of float
        Mean over the rows of the loss of each epoch, each batch's before its update.
    seconds : list of float
        Wall-clock time of each epoch. Epochs that end in one compiled call share its time by
        the number of their rows.
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no finished epoch)"
        return (
            f"History({len(self)} epochs in {sum(self.seconds):.3g} s, "
            f"loss {self.loss[0]:.6g} -> {self.loss[-1]:.6g})"
        )
