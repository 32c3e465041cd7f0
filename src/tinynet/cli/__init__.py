"""The command line: `tinynet COMMAND`. The only code that prints; results go to stdout, all else to stderr."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from contextlib import suppress

import click

from tinynet.cli.output import BLAS_THREADS, leave_stdout, open_streams, say
from tinynet.common.errors import ConfigError, TinynetError, readable

# Each with its line in `tinynet --help`, which so imports none of them.
COMMANDS = {
    "train": "Train the network of a config file.",
    "eval": "Loss and error of a run or a checkpoint.",
    "plot": "Draw a run's curves, and what there is to see of its data.",
    "compare": "Lay runs side by side: configs, figures and curves.",
    "runs": "List the runs of a folder, newest first.",
    "predict": "The class or the values for each row of a file, as CSV.",
    "explain": "Explain a network: equations, shapes and counts.",
    "check": "Check the gradients of a config's net.",
    "init": "Write a commented config to start from.",
    "layers": "List what a config can name; all of one, given its NAME.",
    "schema": "Print the JSON Schema of config files, for editors.",
    "data": "Get datasets, and see where they are.",
}


class Commands(click.Group):
    """The commands, each in the module of its name; a module imports NumPy only when its command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tinynet.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(COMMANDS)}."
            ctx.fail(f"no such command '{args[0]}'. {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tinynet-lab", prog_name="tinynet")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Train small neural networks from one YAML file.

    \b
    tinynet init disk              write a config to start from
    tinynet train disk.yaml        train it; everything is kept in runs/disk
    tinynet plot runs/disk         draw its curves and its decision regions
    """


def run() -> int:
    """Run the command of this process; returns the exit status."""
    for variable in BLAS_THREADS:
        os.environ.setdefault(variable, "1")
    arguments = sys.argv[1:]
    debug = "--debug" in arguments  # wherever it stands
    return execute([argument for argument in arguments if argument != "--debug"], debug)


def execute(arguments: list[str], debug: bool = False) -> int:
    """Run a command; returns the exit status. Only with `debug` does a traceback reach the user."""
    open_streams()
    try:
        status = main.main(arguments, prog_name="tinynet", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        with suppress(OSError):  # stderr may be full or closed
            error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("Interrupted.")
        return 130
    except BrokenPipeError:
        leave_stdout()  # the reader of a pipe, such as `head`, has gone
        return 1
    except (TinynetError, OSError, MemoryError, ImportError) as error:
        if debug:
            traceback.print_exc()
        say("\n".join(map(readable, _text(error).split("\n"))))
        return getattr(error, "exit_status", 1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        say(f"Error: a fault in tinynet: {error!r}. Please report it, with the output of --debug.")
        return 1


def _text(error: Exception) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, OSError):
        return f"Error: {error.filename}: {error.strerror}" if error.filename else f"Error: {error.strerror or error}"
    if isinstance(error, MemoryError):
        return (
            f"Error: {error or 'there is not enough memory'}. A smaller training.batch_size, dataset or net needs less."
        )
    if isinstance(error, ImportError):
        why = next((line for line in reversed(str(error).splitlines()) if line.strip()), repr(error))
        return f"Error: a library cannot be loaded: {why.strip()}. Is there enough memory, and is all installed?"
    return f"Error: {error}"
