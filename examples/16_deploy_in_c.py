"""A digit classifier in C: in float and in whole numbers of 8 bits.

The files are written, compiled with the system's C compiler, and run on test rows.
"""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastbp import MLP
from fastbp.files import to_c

MAIN = r"""
#include "digits.h"
#include <stdio.h>

int main(void)
{
    float x[DIGITS_INPUTS];

    while (fread(x, sizeof x, 1, stdin) == 1) {
        printf("%ld\n", digits_labels[digits_class(x)]);
    }
    return 0;
}
"""

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, test_size=500, random_state=0)
net = MLP((64, 100, 10), loss="cross_entropy", seed=0)
net.fit(X, y, epochs=20)
X_test = X_test.astype(np.float32)
predicted = net.predict(X_test).argmax(axis=1)
print(f"in Python: {(predicted == y_test).mean():.1%} of the test rows are right")

compiler = shutil.which("cc") or shutil.which("gcc")
accuracy = {}
for dtype in ("float32", "int8"):
    with TemporaryDirectory() as folder:
        calibration = X if dtype == "int8" else None
        written = to_c(
            net, folder, name="digits", dtype=dtype, class_labels=range(10), calibration=calibration
        )
        print(f"\n{dtype}: {written.flash:,} bytes of constants, {written.ram} bytes of RAM")
        if written.error:
            print(written.error)
        if compiler is None:
            print("no C compiler was found: the files are written, but not run")
            continue
        (Path(folder) / "main.c").write_text(MAIN)
        command = [compiler, "-std=c99", "-O2", "main.c", "digits.c", "-o", "digits", "-lm"]
        subprocess.run(command, cwd=folder, check=True)
        program = Path(folder) / "digits"
        out = subprocess.run([program], input=X_test.tobytes(), capture_output=True, check=True)
    classes = np.array(out.stdout.split(), int)
    accuracy[dtype] = (classes == y_test).mean()
    print(f"in C: {accuracy[dtype]:.1%} right, {(classes == predicted).mean():.1%} as in Python")
