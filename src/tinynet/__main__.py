"""The `tinynet` command, also as `python -m tinynet`: signals are in hand before what takes time is imported."""

import sys

from tinynet.common import interrupts


def run() -> None:
    """The entry point of the command."""
    interrupts.install()
    try:
        from tinynet import cli

        status = cli.run()
        interrupts.ignore()
    except interrupts.Interrupted as interrupted:
        interrupts.ignore()
        sys.stderr.write("Interrupted.\n")
        status = interrupted.exit_status
    sys.exit(status)


if __name__ == "__main__":
    run()
