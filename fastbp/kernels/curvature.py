"""The Hessian of the loss times a vector V, by one more pass forward and backward.

R{.} is the derivative of what stands in the braces as the parameters move along V. Each line of
backpropagation has its R (Pearlmutter, Neural Computation 6, 1994):

==========================  ============================================
Z = W X + b                 R{Z} = V X + W R{X} + R{b}
Y = f(Z)                    R{Y} = S * R{Z}
G = dE/dY of the loss       R{G} = E'' R{Y}
D = G * S                   R{D} = R{G} * S + G * Q
G = W^T D, one layer below  R{G} = V^T D + W^T R{D}
dW = D X^T                  R{dW} = R{D} X^T + D R{X}^T
==========================  ============================================

with S = f'(Z) and Q = f''(Z) * R{Z}. Without the terms in which G or D stand, this is J^T E'' J V,
the product of Gauss and Newton: G is set to 0 for it.

In the workspace R{.} stands right behind what it belongs to: Y and R{Y} of a layer are one matrix
(2 N, B), and so are D and R{D}, S and Q. So each sum of two products above is one product, of
weights that stand side by side, [V W], or one below the other, V above W. Who calls makes five
tables of layers over the same workspace, which differ in where they look.
"""

from fastbp.kernels.activations import (
    DENSITY_AT_ZERO,
    ELU,
    EXP,
    GELU,
    SELU,
    SIGMOID,
    SILU,
    SOFTMAX,
    SOFTPLUS,
    TANH,
    softmax_backward,
)
from fastbp.kernels.addresses import (
    COUNT,
    FIRST,
    data_at,
    gradient_at,
    network_at,
    optimizer_at,
    work_at,
)
from fastbp.kernels.batches import fetch_inputs, fetch_shares, fetch_targets, row_offsets
from fastbp.kernels.dense import activate_layer, net_inputs, product_below
from fastbp.kernels.elementary import exp_vector, sigmoid_vector
from fastbp.kernels.gradient import layer_gradient
from fastbp.kernels.layout import N_COLUMNS
from fastbp.kernels.losses import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    GAMMA,
    HUBER,
    POISSON,
    SQUARED_ERROR,
    loss_and_delta,
)
from fastbp.kernels.matmul import AS_IT_IS, FROM_OUTPUT, FROM_ZERO
from fastbp.kernels.state import (
    Gradient,
    Layer,
    activation_of,
    capacity_of,
    data_rows,
    delta,
    n_inputs,
    n_units,
    outputs,
    scratch,
    slope,
    stride_of,
)
from fastbp.kernels.transposes import copy
from fastbp.kernels.workspace import INPUTS, SHARES
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    flush_denormals,
    lanes,
    load,
    pointer,
    restore_denormals,
    splat,
    vabs,
    vload,
    vreciprocal,
    vstore,
    vwhere_greater,
)

PLAIN, TANGENT, BELOW, OF_R_DELTA, OF_DELTA = range(5)
"""The tables of layers: W with Y and D; [V W] with R{Y} as outputs; V above W with D and R{D} as
delta; and for the gradient W with R{D}, and W without biases with D."""
N_TABLES = 5


@kernel
def second_slope(code, z, y, s):
    """f''(z) from z, y = f(z) and s = f'(z), all vectors; 0 for lines and at kinks."""
    zero = s - s
    one = zero + 1.0
    result = zero
    if code == TANH:
        result = -(y + y) * s
    elif code == SIGMOID:
        result = s * (one - (y + y))
    elif code == ELU or code == SELU:
        result = vwhere_greater(y, zero, zero, s)
    elif code == SOFTPLUS:
        result = s * (one - s)
    elif code == EXP:
        result = y
    return result


@kernel
def second_slope_of_net_input(code, like, z):
    """f''(z) of gelu, phi(z) (2 - z^2), and of silu, s (1 - s) (2 + z (1 - 2 s)), s its sigmoid."""
    one = splat(like, 1.0)
    if code == GELU:
        square = z * z
        density = exp_vector(like, square * -0.5) * DENSITY_AT_ZERO
        return density * (one + one - square)
    sigmoid = sigmoid_vector(like, z)
    other = one - sigmoid
    return sigmoid * other * (one + one + z * (other - sigmoid))


@kernel
def softmax_deltas(d, rd, y, ry, stride, n, batch):
    """D and R{D} instead of G and R{G} of softmax, by column.

    d_i = y_i (g_i - c) with c = sum_j g_j y_j, and so R{d}_i = R{y}_i (g_i - c) + y_i (R{g}_i -
    R{c}).
    """
    width = lanes(y)
    for b in range(0, batch, width):
        tail = batch - b
        dot = splat(y, 0.0)
        r_dot = splat(y, 0.0)
        for i in range(n):
            at = i * stride + b
            g = vload(advance(d, at), tail)
            out = vload(advance(y, at), tail)
            dot = dot + g * out
            r_dot = r_dot + vload(advance(rd, at), tail) * out + g * vload(advance(ry, at), tail)
        for i in range(n):
            at = i * stride + b
            g = vload(advance(d, at), tail) - dot
            rg = vload(advance(rd, at), tail) - r_dot
            out = vload(advance(y, at), tail)
            vstore(advance(d, at), out * g, tail)
            vstore(advance(rd, at), vload(advance(ry, at), tail) * g + out * rg, tail)


@kernel
def activate_both(layer, tangent, batch):
    """Y and R{Y} instead of Z and R{Z}; S and Q are stored."""
    n, stride = n_units(layer), stride_of(layer)
    code = activation_of(layer)
    y, s = outputs(layer), slope(layer)
    ry = outputs(tangent)
    count = n * stride
    width = lanes(y)
    q = advance(s, count)
    copy(q, y, count)
    activate_layer(layer, batch, 0, 0)
    if code == SOFTMAX:  # its Jacobian is symmetric: forward it does what it does backward
        softmax_backward(ry, y, stride, n, batch)
        return
    for at in range(0, count, width):
        first = vload(advance(s, at), width)
        z = vload(advance(q, at), width)
        r = vload(advance(ry, at), width)
        if code == GELU or code == SILU:
            second = second_slope_of_net_input(code, y, z)
        else:
            second = second_slope(code, z, vload(advance(y, at), width), first)
        vstore(advance(q, at), second * r, width)
        vstore(advance(ry, at), first * r, width)


@kernel
def deltas_through(layer, tangent, batch):
    """D and R{D} instead of G and R{G}."""
    n, stride = n_units(layer), stride_of(layer)
    count = n * stride
    d, s = delta(layer), slope(layer)
    rd, q = advance(d, count), advance(s, count)
    if activation_of(layer) == SOFTMAX:
        softmax_deltas(d, rd, outputs(layer), outputs(tangent), stride, n, batch)
        return
    width = lanes(d)
    for at in range(0, count, width):
        first = vload(advance(s, at), width)
        g = vload(advance(d, at), width)
        rg = vload(advance(rd, at), width)
        vstore(advance(rd, at), rg * first + g * vload(advance(q, at), width), width)
        vstore(advance(d, at), g * first, width)


@kernel
def loss_curvature(code, rd, y, t, ry, s, a, stride, n, batch, apart):
    """R{G} of the losses that are sums over single outputs; legend as in losses.py."""
    width = lanes(y)
    zero = splat(y, 0.0)
    one = splat(y, 1.0)
    for i in range(n):
        for b in range(0, batch, width):
            tail = batch - b
            at = i * stride + b
            out = vload(advance(y, at), tail)
            target = vload(advance(t, at), tail)
            second = zero
            if code == SQUARED_ERROR:
                second = one
            elif code == HUBER:
                second = vwhere_greater(splat(y, load(a, i)), vabs(out - target), one, zero)
            elif code == POISSON:
                second = exp_vector(y, out)
            elif code == GAMMA:
                second = target * exp_vector(y, -out)
            elif code == BINARY_CROSS_ENTROPY:
                probability = sigmoid_vector(y, out)
                second = probability * sigmoid_vector(y, -out)
            weight = vload(advance(s, i * apart + b), tail)
            vstore(advance(rd, at), second * weight * vload(advance(ry, at), tail), tail)


@kernel
def cross_entropy_curvature(rd, z, t, ry, s, a, stride, n, batch):
    """R{G} of cross_entropy: sum_j t_j p_i (r_i - sum_j p_j r_j) with p = softmax(z)."""
    width = lanes(z)
    share = splat(z, load(a, 0))
    rest = splat(z, load(a, 1))
    for b in range(0, batch, width):
        tail = batch - b
        top = vload(advance(z, b), tail)
        for i in range(1, n):
            logit = vload(advance(z, i * stride + b), tail)
            top = vwhere_greater(logit, top, logit, top)
        exps = splat(z, 0.0)
        dot = splat(z, 0.0)
        weight = splat(z, 0.0)
        for i in range(n):
            at = i * stride + b
            e = exp_vector(z, vload(advance(z, at), tail) - top)
            exps = exps + e
            dot = dot + e * vload(advance(ry, at), tail)
            weight = weight + vload(advance(t, at), tail) * share + rest
        scale = vreciprocal(exps)
        dot = dot * scale
        weight = weight * scale * vload(advance(s, b), tail)
        for i in range(n):
            at = i * stride + b
            e = exp_vector(z, vload(advance(z, at), tail) - top)
            r = vload(advance(ry, at), tail) - dot
            vstore(advance(rd, at), e * weight * r, tail)


@kernel
def output_deltas(network, work, data, layer, tangent, gauss_newton, batch):
    """D and R{D} of the last layer; D replaces the targets."""
    n, stride = n_units(layer), stride_of(layer)
    code, a = network.loss, network.loss_parameters
    y, d = outputs(layer), delta(layer)
    ry = outputs(tangent)
    rd = advance(d, n * stride)
    s = scratch(work, SHARES)
    apart = stride if data.n_weights > 1 else 0
    if code == CROSS_ENTROPY:
        cross_entropy_curvature(rd, y, d, ry, s, a, stride, n, batch)
    else:
        loss_curvature(code, rd, y, d, ry, s, a, stride, n, batch, apart)
    loss_and_delta(code, d, y, d, s, a, stride, n, batch, apart)
    if gauss_newton != 0:
        width = lanes(d)
        zero = splat(d, 0.0)
        for at in range(0, n * stride, width):
            vstore(advance(d, at), zero, width)
    deltas_through(layer, tangent, batch)


@kernel
def layer_of_table(name, network, params, work, number):
    """A layer of one of the tables, with these parameters."""
    row = advance(network.layers, (name * network.n_layers + number) * N_COLUMNS)
    return Layer(row, params, work.values, work.offsets, work.places, number)


@kernel
def both_forward(network, tangent, work, data, first, batch):
    """Y and R{Y} of all layers."""
    for number in range(network.n_layers):
        layer = layer_of_table(PLAIN, network, network.params, work, number)
        moved = layer_of_table(TANGENT, network, tangent, work, number)
        x = scratch(work, INPUTS)
        if number == 0:
            row_offsets(data_rows(layer), data, first, batch, n_inputs(layer))
            fetch_inputs(layer, scratch(layer, INPUTS), data, 0, batch, batch)
        else:
            x = outputs(layer_of_table(PLAIN, network, network.params, work, number - 1))
        net_inputs(layer, x, batch)
        net_inputs(moved, x, batch)
        activate_both(layer, moved, batch)


@kernel
def both_backward(network, tangent, stacked, work, batch, grad, optimizer):
    """R{dW} and R{db} of all layers from D and R{D} of the last one."""
    params = network.params
    later = Gradient(grad.values, grad.length, FROM_OUTPUT)
    for number in range(network.n_layers - 1, -1, -1):
        layer = layer_of_table(PLAIN, network, params, work, number)
        of_r_delta = layer_of_table(OF_R_DELTA, network, params, work, number)
        if number == 0:
            layer_gradient(of_r_delta, scratch(work, INPUTS), batch, grad, optimizer)
            return
        below = layer_of_table(PLAIN, network, params, work, number - 1)
        moved = layer_of_table(TANGENT, network, tangent, work, number - 1)
        both = layer_of_table(BELOW, network, stacked, work, number)
        of_delta = layer_of_table(OF_DELTA, network, params, work, number)
        stride = stride_of(layer)
        g = delta(below)
        rg = advance(g, n_units(below) * stride)
        product_below(layer, g, stride, 0, batch, AS_IT_IS, g, None)
        product_below(both, rg, stride, 0, batch, AS_IT_IS, rg, None)
        deltas_through(below, moved, batch)
        layer_gradient(of_r_delta, outputs(below), batch, grad, optimizer)
        layer_gradient(of_delta, outputs(moved), batch, later, optimizer)


@kernel
def multiply_rows_by_hessian(t, tangent, stacked, gauss_newton):
    """What COUNT rows from FIRST on add to the product, in the GRADIENT; FIRST 0 overwrites it.

    The optimiser is one that makes no update.
    """
    network, work = network_at(t, tangent), work_at(t, tangent)
    data = data_at(t, tangent, None)
    optimizer = optimizer_at(t, tangent)
    last = network.n_layers - 1
    layer = layer_of_table(PLAIN, network, network.params, work, last)
    moved = layer_of_table(TANGENT, network, tangent, work, last)
    first = load(t, FIRST)
    end = first + load(t, COUNT)
    while first < end:
        batch = min(end - first, capacity_of(work))
        fetch_shares(work, data, first, batch, data.total)
        fetch_targets(layer, data, first, batch)
        both_forward(network, tangent, work, data, first, batch)
        output_deltas(network, work, data, layer, moved, gauss_newton, batch)
        grad = gradient_at(t, tangent, FROM_ZERO if first == 0 else FROM_OUTPUT)
        both_backward(network, tangent, stacked, work, batch, grad, optimizer)
        first += batch


@kernel(cached=True)
def hessian_product(cells, gauss_newton, tangent, stacked):
    """Products of the Hessian of some rows with a vector.

    Parameters
    ----------
    cells : array of int64
        The row of a `table.Table`: rows, what to write to, and a workspace for layers of twice as
        many units. Its table of layers is N_TABLES of them, one after the other.
    gauss_newton : int
        1 for the product of Gauss and Newton, else 0.
    tangent : array of the net's dtype
        [V W] of each layer but the first, whose is V, unit by unit, each followed by R{b}.
    stacked : array of the net's dtype
        V and then W of each layer, unit by unit.
    """
    mode = flush_denormals()
    multiply_rows_by_hessian(
        pointer(cells, 0), pointer(tangent, 0), pointer(stacked, 0), gauss_newton
    )
    restore_denormals(mode)
