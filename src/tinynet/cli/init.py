"""`tinynet init`: writes a config to start from, and the files that it reads beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from tinynet.cli.output import quoted

HERE = Path(__file__).parent
# Within the package where it is installed, beside src in a checkout.
CONFIGS = HERE / "configs" if (HERE / "configs").is_dir() else HERE.parents[2] / "configs"


def configs() -> dict[str, Path]:
    """Every config that can be written, under its name: those of `configs/`, and the starters for data of one's own."""
    folders = (CONFIGS, CONFIGS / "papers", HERE / "starters")
    found = [sorted(folder.glob("*.yaml"), key=lambda path: path.stem) for folder in folders]
    return {path.stem: path for paths in found for path in paths}


class InitCommand(click.Command):
    """Its help lists the configs, each with the line that its file opens with."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Configs"):
            formatter.write_dl([(name, _first_line(path)) for name, path in configs().items()])


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def _names(ctx: click.Context, parameter: click.Parameter, given: str) -> list[str]:
    return [name for name in configs() if name.startswith(given)]


@click.command("init", cls=InitCommand)
@click.argument("config", default="disk", shell_complete=_names)
@click.option("--out", type=click.Path(), help="File to write, instead of CONFIG.yaml.")
def command(config: str, out: str | None) -> None:
    """Write a commented config to start from, CONFIG.yaml, and the data files that it reads, if any, beside it.

    Without a name it is that of the disk. A file that exists is never written over.
    """
    from tinynet.common.errors import UsageError
    from tinynet.common.suggestions import hint

    known = configs()
    if config not in known:
        raise UsageError(f"there is no config '{config}'. {hint(config, known)} (`tinynet init --help` lists them)")
    source, path = known[config], Path(out or f"{config}.yaml")
    text = source.read_bytes()
    others = [file for file in sorted(source.parent.iterdir()) if file.suffix in (".csv", ".npz")]
    data = {path.parent / file.name: file.read_bytes() for file in others if file.name.encode() in text}
    try:
        _write_new([*(item for item in data.items() if not _is(*item)), (path, text)])
    except FileExistsError as error:
        other = "one" if error.filename == str(path) else "folder"
        raise UsageError(f"{error.filename}: this file exists. Name another {other} with --out.") from None
    beside = f", with {' and '.join(file.name for file in data)}" if data else ""
    click.echo(f"Wrote {path}{beside}. Next: tinynet train {quoted(path)}")


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _write_new(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write files that are not there yet, all of them or none; in order, so that a config comes after its data."""
    written = []
    try:
        for path, content in files:
            with path.open("xb") as file:
                written.append(path)
                file.write(content)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
