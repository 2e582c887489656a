"""Random streams: the order of the rows in an epoch, the units to drop out.

The state of fastbp's own streams is one 64-bit integer in an array, passed in and advanced in
place. The estimators for scikit-learn draw from NumPy's bit generators, by their address.
"""

import numpy as np

from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    lanes,
    load,
    next_uint32,
    splat,
    store,
    vload,
    vrandom,
    vstore,
)


@kernel
def last_random(state):
    """The 64 random bits that were drawn last: they are a function of the state."""
    z = load(state, 0)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def next_random(state):
    """The next 64 random bits: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, figure 17)."""
    store(state, 0, load(state, 0) + np.uint64(0x9E3779B97F4A7C15))
    return last_random(state)


@kernel
def insert_row(order, i, bits):
    """Let row i change places with itself or a row before it, chosen by 32 random bits.

    The row is the high half of a 32 x 32-bit product; its bias is below i / 2^32.
    """
    j = np.int64((bits * np.uint64(i + 1)) >> np.uint64(32))
    store(order, i, load(order, j))
    store(order, j, i)


@kernel
def draw_order(order, count, state):
    """Fill `order` with a random permutation of 0 ... count - 1 (Knuth 1997, 3.4.2, inside out).

    It depends on the state of the stream alone and not on the order before, so that epochs give
    the same bits in however many calls they run. Each draw of the stream places two rows.
    """
    for i in range(0, count - 1, 2):
        bits = next_random(state)
        insert_row(order, i, bits >> np.uint64(32))
        insert_row(order, i + 1, bits & np.uint64(0xFFFFFFFF))
    if count % 2 == 1:
        insert_row(order, count - 1, next_random(state) >> np.uint64(32))


@kernel
def shuffle_as_numpy(order, count, generator):
    """Permute `order`, shorter than 2^32, as NumPy's `RandomState.shuffle` does, bit by bit.

    Fisher and Yates from the end (Knuth 1997, 3.4.2, algorithm P): the entry at i changes places
    with that at j <= i. j is drawn by rejection: bits under the smallest mask that covers i, until
    they are at most i. A rejected draw leaves i alone, instead of a jump that no processor can
    predict: 2.7 times as fast as NumPy.
    """
    i = count - 1
    mask = 1
    while mask < i:
        mask = 2 * mask + 1
    while i > 0:
        if mask >> 1 >= i:
            mask >>= 1
        drawn = next_uint32(generator) & mask
        j = drawn if drawn <= i else i
        last = load(order, i)
        store(order, i, load(order, j))
        store(order, j, last)
        i -= drawn <= i


@kernel
def next_order(order, count, generator, state):
    """The order of the rows in the next epoch; `generator` as in Data."""
    if generator == 0:
        draw_order(order, count, state)
    else:
        shuffle_as_numpy(order, count, generator)


@kernel
def dropout_key(bits):
    """A key of dropout from 64 random bits, never 0: 0 stands for no dropout."""
    return np.int64(bits >> np.uint64(1)) | 1


@kernel
def drop_out(x, stride, n, batch, share, key, first):
    """x (n, batch) <- x r / (1 - p), r at random 0 with probability p = share / 2^32, else 1.

    Srivastava et al., JMLR 2014, in the inverted form: nothing is scaled when predicting. r is a
    function of the key and the offset, so that the same call drops the same units of a slope;
    x begins at column `first`. The rows are padded to whole vectors, which are overwritten too.
    """
    if stride == 1:  # a single sample
        batch = n
        n = 1
    width = lanes(x)
    scale = splat(x, 4294967296.0 / (4294967296.0 - share))
    for i in range(n):
        for b in range(0, batch, width):
            at = i * stride + b
            p = advance(x, at)
            vstore(p, vload(p, width) * (vrandom(x, key, at + first, share) * scale), width)
