"""The plain forms of the fast layers: the equations as loops, to read and to test against; no training uses them.

Lines are short, because `tinynet explain` prints them.
"""

from __future__ import annotations

import numpy as np

from tinynet.common.arrays import Array

Pair = tuple[int, int]


def conv2d(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """y[n, o, i, j] = b[o] + Σ over c, k, l of w[o, c, k, l] x[n, c, s i + d k - p, s j + d l - p]

    x (N, C, H, W), w (O, C/groups, kH, kW), b (O), y (N, O, oH, oW).
    """
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    samples, _, height, width = x.shape
    outputs, part, kh, kw = w.shape
    rows = (height - dh * (kh - 1) - 1) // sh + 1
    columns = (width - dw * (kw - 1) - 1) // sw + 1
    y: Array = np.zeros((samples, outputs, rows, columns), x.dtype)
    for o, i, j in np.ndindex(outputs, rows, columns):
        first = o // (outputs // groups) * part  # the group's first channel
        y[:, o, i, j] = b[o]
        for c, k, m in np.ndindex(part, kh, kw):
            pixel = x[:, first + c, sh * i + dh * k, sw * j + dw * m]
            y[:, o, i, j] += w[o, c, k, m] * pixel
    return y


def conv_transpose2d(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, extra: Pair) -> Array:
    """y[n, o, s i + k - p, s j + l - p] += w[c, o, k, l] x[n, c, i, j], from b[o] on

    x (N, C, H, W), w (C, O, kH, kW), b (O), y (N, O, oH, oW), oH = (H - 1) s - 2p + kH + extra.
    """
    (sh, sw), (ph, pw) = stride, padding
    samples, channels, height, width = x.shape
    _, outputs, kh, kw = w.shape
    full_height = (height - 1) * sh + kh + extra[0]
    full_width = (width - 1) * sw + kw + extra[1]
    y: Array = np.zeros((samples, outputs, full_height, full_width), x.dtype)
    y += b[:, None, None]
    for c, i, j in np.ndindex(channels, height, width):
        for o, k, m in np.ndindex(outputs, kh, kw):
            y[:, o, sh * i + k, sw * j + m] += w[c, o, k, m] * x[:, c, i, j]
    return y[:, :, ph : full_height - ph, pw : full_width - pw]


def max_unpool2d(x: Array, image: Array, kernel: Pair, stride: Pair) -> Array:
    """y[n, c, s i + k, s j + l] = x[n, c, i, j] for the k, l with the maximum of image[n, c, s i + k, s j + l]"""
    y: Array = np.zeros_like(image)
    for n, c, i, j in np.ndindex(x.shape):
        top, left = stride[0] * i, stride[1] * j
        window = image[n, c, top : top + kernel[0], left : left + kernel[1]]
        k, m = np.unravel_index(window.argmax(), window.shape)
        y[n, c, top + k, left + m] = x[n, c, i, j]
    return y


def max_pool2d(x: Array, kernel: Pair, stride: Pair) -> Array:
    """y[n, c, i, j] = max over k, l of x[n, c, s i + k, s j + l]"""
    (kh, kw), (sh, sw) = kernel, stride
    rows = (x.shape[2] - kh) // sh + 1
    columns = (x.shape[3] - kw) // sw + 1
    y: Array = np.zeros((*x.shape[:2], rows, columns), x.dtype)
    for i, j in np.ndindex(rows, columns):
        window = x[:, :, sh * i : sh * i + kh, sw * j : sw * j + kw]
        y[:, :, i, j] = window.max(axis=(2, 3))
    return y
