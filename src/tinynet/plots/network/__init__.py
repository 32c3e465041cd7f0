"""The picture of a network as a graph."""
