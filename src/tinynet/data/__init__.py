"""Datasets, their splits, targets and scaling, the loader, and augmentations."""
