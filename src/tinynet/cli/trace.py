"""The pages' part on one sample: its numbers layer by layer, the loss, and the gradients on the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynet.cli.pages import COLUMNS, INDENT, Code, Page, Rows

if TYPE_CHECKING:
    from tinynet.explain.network import Explanation
    from tinynet.explain.trace import Numbers, Passage, Trace


def write_trace(page: Page, found: Explanation, trace: Trace, in_full: bool) -> None:
    """Add a sample's way to a page; with `in_full` each layer also with its inputs and with sketches of parameters."""
    page.heading(f"Sample {trace.sample} of the {trace.split} split, on its way through", 2)
    page.text(
        f"The net is as in evaluation; its parameters are {found.parameters_are}. Where there are many numbers, a "
        "sketch shows the largest as █ and the smallest as ▁ or blank; of gradients it shows the size, and blank is 0."
    )
    symbols = {p.name: p.symbol or p.name.rpartition(".")[2] for layer in found.layers for p in layer.parameters}
    if not in_full:
        _write_numbers(page, "input: x", trace.x)
    for passage in trace.passages:
        for x in passage.x if in_full else []:
            _write_numbers(page, f"{passage.layer}: x", x)
        _write_learned(page, passage, symbols, in_full)
        _write_numbers(page, f"{passage.layer}: y", passage.y)
    page.heading("The loss", 2)
    page.fields(_loss(found, trace))
    page.heading("The way back", 2)
    for passage in reversed(trace.passages):
        _write_numbers(page, f"{passage.layer}: dy", passage.dy)
        _write_learned(page, passage, symbols, in_full, "d")
        for dx in passage.dx if in_full else []:
            _write_numbers(page, f"{passage.layer}: dx", dx)
    if not in_full:
        _write_numbers(page, "input: dx", trace.dx)


def _write_learned(page: Page, passage: Passage, symbols: dict[str, str], in_full: bool, d: str = "") -> None:
    """The parameters of a layer or, with d, their gradients; large ones as a sketch only `in_full`."""
    for learned in passage.parameters:
        numbers = learned.gradient if d else learned.value
        _write_numbers(page, f"{passage.layer}: {d}{symbols[learned.name]}", numbers, in_full)


def _loss(found: Explanation, trace: Trace) -> Rows:
    (piece,) = found.pieces["loss"]
    units = ", in standardised units" if trace.standardised else ""
    rows: Rows = [("loss", [*map(Code, piece.equations.forward)]), ("value", [f"L = {trace.loss:.6g}{units}"])]
    if trace.true is not None and trace.answer is not None:
        right = "right" if trace.answer == trace.true else "wrong"
        rows.append(("class", [f"{trace.true}; the net says {trace.answer}, which is {right}"]))
    if trace.probabilities is not None:
        largest = sorted(trace.probabilities.items(), key=lambda item: -item[1])[:10]
        rows.append(("probabilities", [", ".join(f"{name}: {share:.1%}" for name, share in largest)]))
    if trace.target.shape and trace.target.values is not None:
        rows.append(("target", _lines(trace.target.values)))
    rows.append(("gradient", [*map(Code, piece.equations.backward)]))
    return rows


def _write_numbers(page: Page, label: str, numbers: Numbers, sketch: bool = True) -> None:
    """Small arrays whole; of larger ones the range and, if asked for, the sketch."""
    label = f"{label} {numbers.shape}"
    if numbers.values is not None:
        lines = _lines(numbers.values)
        line = f"{label}: {', '.join(lines[0].split())}"
        if len(lines) == 1 and len(line) <= COLUMNS:
            page.text(line)
        else:
            page.text(label)
            page.block(lines)
        return
    if numbers.mean != numbers.mean:
        page.text(f"{label}: holds NaN or infinity")
        return
    zeros = f", {numbers.zeros:.0%} zeros" if numbers.zeros else ""
    part = f"; {numbers.sketched}:" if sketch and numbers.sketched else ""
    page.text(f"{label}: {numbers.minimum:.4g} to {numbers.maximum:.4g}, mean {numbers.mean:.3g}{zeros}{part}")
    if sketch and numbers.sketch:
        page.block(numbers.sketch)


def _lines(values: Any) -> list[str]:
    """Numbers in columns, a line for each row of the last axis, or several of which the later ones are indented."""
    rows = [[f"{number + 0.0:.4g}" for number in row] for row in _rows(values)]  # + 0.0 makes 0 of -0
    width = max(len(number) for row in rows for number in row)
    many = (COLUMNS - INDENT - 1) // (width + 1)
    later = "  " if len(rows) > 1 else ""
    return [
        (later if i else "") + " ".join(number.rjust(width) for number in row[i : i + many])
        for row in rows
        for i in range(0, len(row), many)
    ]


def _rows(values: Any) -> list[list[float]]:
    if not isinstance(values, list):
        return [[values]]
    return [row for part in values for row in _rows(part)] if isinstance(values[0], list) else [values]
