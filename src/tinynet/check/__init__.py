"""Proves every gradient by central differences, and the whole net against PyTorch."""
