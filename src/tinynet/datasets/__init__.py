"""The datasets. Each is one class; importing this package registers them all."""

from tinynet.datasets import arrays, idx, plane
from tinynet.datasets.base import Dataset

__all__ = ["Dataset", "arrays", "idx", "plane"]
