"""`tinynet compare`: runs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.output import counted, json_option, print_json, table, tell
from tinynet.cli.pages import Markdown

if TYPE_CHECKING:
    from tinynet.runs.compare import Compared, Comparison, Paired

# A longer value of a config stands on a line of its own.
LONGEST = 28

Rows = list[list[str]]


@click.command("compare")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@json_option
@click.option("--markdown", is_flag=True, help="Print Markdown, for a report.")
def command(runs: tuple[str, ...], as_json: bool, markdown: bool) -> None:
    """What differs between the configs of RUNs, their figures side by side, and their curves over each other.

    Figures of several rounds are mean ± standard deviation. Where a RUN has rounds of the same seeds as the first one,
    the difference to that is taken seed by seed, with the 95 % confidence interval of its mean (Student's t).

    The curves are drawn into the first one's plots, as `tinynet plot RUN...` does.
    """
    from tinynet.runs.compare import compare
    from tinynet.runs.run import Run

    if as_json and markdown:
        raise click.UsageError("--json and --markdown are two forms of one answer. Give one of them.")
    opened = [Run.open(run) for run in runs]
    found = compare(opened)
    pictures = _draw(opened, found.notes)
    if as_json:
        print_json({**found.to_json(), "plots": pictures})
    elif markdown:
        tell(str(_markdown(found, pictures)))
    else:
        tell("\n\n".join([*_text(found), "\n".join([*found.notes, *pictures])]).rstrip())


def _draw(runs: list[Any], notes: list[str]) -> list[str]:
    """The curves of the runs over each other; what stands in the way is noted, as the figures do not need them."""
    from tinynet.plots import draw

    try:
        return [str(path) for path in draw(runs, notes=notes)]
    except OSError as error:
        notes.append(f"The curves are not drawn: {error.filename}: {error.strerror}.")
        return []


def _text(found: Comparison) -> Iterator[str]:
    config = _config(found)
    short = [row for row in config if max(map(len, row)) <= LONGEST]
    if len(short) > 1:
        yield f"{_config_title(found)}\n{table(short)}"
    elif len(config) == 1:
        yield _config_title(found)
    for path, *values in [row for row in config if row not in short]:
        names = [one.name for one in found.runs]
        yield "\n".join([path, *(f"  {name}: {value}" for name, value in zip(names, values, strict=True))])
    yield f"{_figures_title(found)}\n{table(_figures(found))}"
    if any(found.differences):
        yield f"{_paired_title(found)}\n{table(_pairs(found))}"


def _markdown(found: Comparison, pictures: list[str]) -> Markdown:
    page = Markdown()
    page.text(_config_title(found))
    if found.config:
        page.table(_config(found), 1)
    page.text(_figures_title(found))
    page.table(_figures(found), 1)
    if any(found.differences):
        page.text(_paired_title(found))
        page.table(_pairs(found), 1)
    page.parts += [*found.notes, *(f"![{path}]({path})" for path in pictures)]
    return page


def _config_title(found: Comparison) -> str:
    return "What differs between the configs:" if found.config else "The configs are the same."


def _figures_title(found: Comparison) -> str:
    several = any(len(one.rounds) > 1 for one in found.runs)
    return "Figures, mean ± standard deviation over the rounds:" if several else "Figures:"


def _paired_title(found: Comparison) -> str:
    what = f"Difference to {found.runs[0].name}, paired by seed"
    return f"{what}, errors in percentage points: mean [95 % confidence interval]"


def _config(found: Comparison) -> Rows:
    from tinynet.common.components import written

    rows = [["", *(one.name for one in found.runs)]]
    for path, values in found.config.items():
        rows.append([path, *("-" if value is None else written(value) for value in values)])
    return rows


def _figures(found: Comparison) -> Rows:
    """A row for each figure that any run has, a column for each run."""
    from tinynet.runs.compare import FIGURES, WHICH
    from tinynet.runs.counting import round_count

    rows = [["", *(one.name for one in found.runs)]]
    totals = [(len(one.rounds), round_count(one.run)) for one in found.runs]
    rows.append(["rounds", *(f"{f'{count} of ' * (count < total)}{total}" for count, total in totals)])
    known = [one.parameters for one in found.runs]
    rows.append(["parameters", *("-" if count is None else f"{count:,}" for count in known)])
    rows.append(["seconds of a round", *(_cell(one, "last", "seconds") for one in found.runs)])
    for which in WHICH:
        for name in ("epoch", *FIGURES):
            cells = [_cell(one, which, name) for one in found.runs]
            if set(cells) != {"-"}:
                rows.append([f"{which} {name.replace('_', ' ')}", *cells])
    return rows


def _cell(one: Compared, which: str, name: str) -> str:
    """A figure as text, an error in percent, over several rounds with its deviation."""
    from tinynet.runs.statistics import rounded, sample

    values = one.figures.get(which, {}).get(name)
    if values is None:
        return "-"
    scale, unit = _scale(name)
    mean, deviation = sample([scale * value for value in values.values()])
    if not deviation and (deviation is None or name in ("epoch", "seconds")):  # stacked rounds share their time
        return f"{mean:.4g}{unit}"
    return " ± ".join(rounded(mean, deviation)) + unit


def _pairs(found: Comparison) -> Rows:
    """A row for each figure of which any run has a difference to the first, a column for each run that has any."""
    from tinynet.runs.compare import FIGURES, WHICH

    columns = [(one, pairs) for one, pairs in zip(found.runs[1:], found.differences, strict=True) if pairs]
    most = [max((p.seeds for of in pairs.values() for p in of.values()), key=len) for _, pairs in columns]
    rows = [["", *(f"{one.name} ({counted(len(n), 'seed')})" for (one, _), n in zip(columns, most, strict=True))]]
    for which in WHICH:
        for name in FIGURES:
            cells = [_pair(pairs.get(which, {}).get(name), name) for _, pairs in columns]
            if set(cells) != {"-"}:
                rows.append([f"{which} {name.replace('_', ' ')}", *cells])
    return rows


def _pair(found: Paired | None, name: str) -> str:
    """A difference with its interval: "-2.4 [-4.6, -0.2]"."""
    from tinynet.runs.statistics import decimals

    if found is None:
        return "-"
    scale, _ = _scale(name)
    if found.low is None or found.high is None:
        return f"{scale * found.mean:+.4g}"
    half = scale * (found.high - found.low) / 2
    form = f"+.{decimals(half)}f" if half >= 1e-5 else "+.4g"
    low, mean, high = (format(scale * value, form) for value in (found.low, found.mean, found.high))
    return f"{mean} [{low}, {high}]"


def _scale(name: str) -> tuple[float, str]:
    return (100, " %") if name.endswith("error") else (1, "")
