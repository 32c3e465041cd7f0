"""The plain forms of the fast layers: the equations as loops, to read and to test against; nothing else uses them."""

from __future__ import annotations

import numpy as np

from tinynet.core import Array

Pair = tuple[int, int]


def conv2d(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """y[n, o, i, j] = b[o] + Σ over c, k, l of w[o, c, k, l] x[n, c, s i + d k - p, s j + d l - p]

    x (N, C, H, W), w (O, C/groups, kH, kW), b (O), y (N, O, oH, oW).
    """
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    samples, _, height, width = x.shape
    outputs, part, kh, kw = w.shape
    rows = (height - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (width - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y: Array = np.zeros((samples, outputs, rows, columns), x.dtype)
    for o in range(outputs):
        first = o // (outputs // groups) * part  # the group's first channel
        for i in range(rows):
            for j in range(columns):
                y[:, o, i, j] = b[o]
                for c in range(part):
                    for k in range(kh):
                        for m in range(kw):
                            pixel = x[:, first + c, stride[0] * i + dilation[0] * k, stride[1] * j + dilation[1] * m]
                            y[:, o, i, j] += w[o, c, k, m] * pixel
    return y


def conv_transpose2d(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, extra: Pair) -> Array:
    """y[n, o, s i + k - p, s j + l - p] += w[c, o, k, l] x[n, c, i, j], from b[o] on

    x (N, C, H, W), w (C, O, kH, kW), b (O), y (N, O, oH, oW), oH = (H - 1) s - 2p + kH + extra.
    """
    samples, channels, height, width = x.shape
    _, outputs, kh, kw = w.shape
    full_height, full_width = (height - 1) * stride[0] + kh + extra[0], (width - 1) * stride[1] + kw + extra[1]
    y: Array = np.zeros((samples, outputs, full_height, full_width), x.dtype)
    y += b[:, None, None]
    for c in range(channels):
        for o in range(outputs):
            for i in range(height):
                for j in range(width):
                    for k in range(kh):
                        for m in range(kw):
                            y[:, o, stride[0] * i + k, stride[1] * j + m] += w[c, o, k, m] * x[:, c, i, j]
    return y[:, :, padding[0] : full_height - padding[0], padding[1] : full_width - padding[1]]


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
    rows, columns = (x.shape[2] - kernel[0]) // stride[0] + 1, (x.shape[3] - kernel[1]) // stride[1] + 1
    y: Array = np.zeros((*x.shape[:2], rows, columns), x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = stride[0] * i, stride[1] * j
            y[:, :, i, j] = x[:, :, top : top + kernel[0], left : left + kernel[1]].max(axis=(2, 3))
    return y
