"""Losses of one row in C, each with its delta, as in `fastbp.kernels.losses`."""

from __future__ import annotations

from fastbp.files.c.parts import Parts
from fastbp.files.c.text import real
from fastbp.kernels.losses import SMALLEST
from fastbp.model.losses import Huber, Loss, Quantile, Smoothed

BY_OUTPUT = """\
/* the loss of outputs y and targets t, and its derivative d by y; d may be t */
static REAL NAME_loss(const REAL *y, const REAL *t, REAL *d)
{
    REAL loss = 0.0_F;

    for (int i = 0; i < UPPER_OUTPUTS; i++) {
STATEMENTS
    }
    return loss;
}
"""
STATEMENTS = {
    "squared_error": """\
const REAL e = y[i] - t[i];

loss += 0.5_F * e * e;
d[i] = e;""",
    "absolute_error": """\
const REAL e = y[i] - t[i];

loss += fabs_F(e);
d[i] = e > 0.0_F ? 1.0_F : e < 0.0_F ? -1.0_F : e;""",
    "huber": """\
const REAL e = y[i] - t[i];
const REAL c = e > DELTA ? DELTA : e < -DELTA ? -DELTA : e;

loss += c * (e - 0.5_F * c);
d[i] = c;""",
    "quantile": """\
const REAL e = y[i] - t[i];
const REAL slope = e > 0.0_F ? 1.0_F - NAME_levels[i] : -NAME_levels[i];

loss += slope * e;
d[i] = e > 0.0_F || e < 0.0_F ? slope : e;""",
    "hinge": """\
const REAL rest = 1.0_F - t[i] * y[i];

loss += rest > 0.0_F ? rest : 0.0_F;
d[i] = rest > 0.0_F ? -t[i] : 0.0_F;""",
    "poisson": """\
const REAL mean = NAME_exp(y[i]);
const REAL logarithm = log_F(t[i] > SMALLEST ? t[i] : SMALLEST);

loss += (mean - t[i]) - t[i] * (y[i] - logarithm);
d[i] = mean - t[i];""",
    "gamma": """\
const REAL ratio = t[i] * NAME_exp(-y[i]);

loss += (ratio - 1.0_F) - (log_F(t[i]) - y[i]);
d[i] = 1.0_F - ratio;""",
    "binary_cross_entropy": """\
const REAL target = TARGET;
const REAL u = NAME_exp(-fabs_F(y[i]));

loss += (y[i] > 0.0_F ? y[i] : 0.0_F) - y[i] * target + log1p_F(u);
d[i] = (y[i] > 0.0_F ? 1.0_F : u) / (1.0_F + u) - target;""",
}
"""What is done for each output, or net input of the last layer."""
CROSS_ENTROPY = """\
/* the loss of net inputs z and targets t, and its derivative d by z; d may be t */
static REAL NAME_loss(const REAL *z, const REAL *t, REAL *d)
{
    REAL most = z[0];
    REAL sum = 0.0_F;
    REAL weight = 0.0_F;
    REAL score = 0.0_F;

    for (int i = 1; i < UPPER_OUTPUTS; i++) {
        if (z[i] > most) {
            most = z[i];
        }
    }
    for (int i = 0; i < UPPER_OUTPUTS; i++) {
        const REAL target = TARGET;

        sum += NAME_exp(z[i] - most);
        weight += target;
        score += target * (z[i] - most);
    }
    for (int i = 0; i < UPPER_OUTPUTS; i++) {
        const REAL target = TARGET;

        d[i] = weight * NAME_exp(z[i] - most) / sum - target;
    }
    return weight * log_F(sum) - score;
}
"""


def add_loss(parts: Parts, loss: Loss) -> None:
    """Add the function of a loss.

    Parameters
    ----------
    parts : Parts
    loss : Loss
        A built-in one.
    """
    words = {"SMALLEST": real(SMALLEST, parts.single), "TARGET": "t[i]"}
    if isinstance(loss, Huber):
        words["DELTA"] = real(loss.delta, parts.single)
    if isinstance(loss, Quantile):
        levels = loss.parameters(parts.chain.n_out)
        parts.reals("levels", levels.astype(parts.chain.dtype))
    if isinstance(loss, Smoothed) and loss.label_smoothing:
        share, rest, _ = loss.parameters(parts.chain.n_out)
        words["TARGET"] = f"{real(share, parts.single)} * t[i] + {real(rest, parts.single)}"
    if loss.name == "cross_entropy":
        text = CROSS_ENTROPY
    else:
        rows = STATEMENTS[loss.name].splitlines()
        inner = "\n".join(f"        {row}" if row else "" for row in rows)
        text = BY_OUTPUT.replace("STATEMENTS", inner)
    for word, value in words.items():
        text = text.replace(word, value)
    if "NAME_exp(" in text:
        parts.activations.needs_exp()
    parts.math = parts.math or any(call in text for call in ("fabs_F", "log_F", "log1p_F"))
    parts.late.append(text)
