"""A network in words: each layer with its equations, and a sample on its way through."""
