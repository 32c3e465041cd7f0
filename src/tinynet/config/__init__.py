"""YAML text to a checked config, every problem at its line."""
