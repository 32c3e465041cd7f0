"""What all else stands on: components and their options, errors, files as data. No mathematics."""

VERSION = "0.1.0"
