"""`tinynet check`: proves the gradients of a config's net, or compares the net with the same one in PyTorch."""

from __future__ import annotations

import sys
import textwrap
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.output import counted, json_option, print_json, say, seed_option, set_option, table, tell
from tinynet.cli.plugins import plugin_option

if TYPE_CHECKING:
    from tinynet.check.differences import Comparison, Settings
    from tinynet.check.findings import Part, Report, Tensor
    from tinynet.check.parity import Parity
    from tinynet.training.round import Round


@click.command("check")
@click.argument("config", type=click.Path())
@click.option(
    "--samples", type=click.IntRange(min=1), default=4, show_default=True, help="Random samples in the batch."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="The largest relative error that is right; by default 1e-6, with --torch 1e-9.",
)
@click.option("--all", "everything", is_flag=True, help="Every number of each tensor, not fifty.")
@click.option("--torch", "with_torch", is_flag=True, help="Compare with the same net in PyTorch instead.")
@seed_option
@set_option
@json_option
@plugin_option
def command(
    config: str,
    samples: int,
    tolerance: float | None,
    everything: bool,
    with_torch: bool,
    seed: int | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> int:
    """Check the gradients of a CONFIG's net, by random samples in float64; no data are needed.

    Each layer by itself, then all of the net: each gradient that backward gives is compared with central differences,
    along random directions and in fifty single numbers of each tensor.
    """
    from tinynet.check.batch import in_float64
    from tinynet.config.config import load

    if everything and with_torch:
        raise click.UsageError("--all goes with the check by differences, not with --torch, which compares everything")
    if tolerance is not None and not tolerance > 0:  # NaN, which is in no range and out of none
        raise click.UsageError("--tolerance must be above 0 and at most 1, as in 1e-6")
    one = in_float64(load(config, *overrides, *([f"seed={seed}"] if seed is not None else [])))
    start = perf_counter()
    if with_torch:
        parity = _compare(one, samples, tolerance)
        found, text, right = _parity_json(parity), _parity_text(parity), parity.first is None
    else:
        report, settings = _check(one, samples, tolerance, everything)
        found, text, right = _json(report, settings), _text(one, report, settings), report.right
    seconds = perf_counter() - start
    if as_json:
        print_json({"config": config, "samples": samples, "seed": one.config.seed, **found, "seconds": seconds})
    else:
        where = f"{one.config.name}: {counted(samples, 'random sample')} in float64, seed {one.config.seed}"
        tell(f"{where}\n{text}\nIt took {seconds:.1f} s.")
    return 0 if right else 1


def _check(one: Round, samples: int, tolerance: float | None, everything: bool) -> tuple[Report, Settings]:
    """The check, with a bar on a terminal."""
    from tqdm import tqdm

    from tinynet.check.batch import random_batch
    from tinynet.check.differences import Settings
    from tinynet.check.net import check, work

    settings = Settings(seed=one.config.seed)
    if tolerance is not None:
        settings.tolerance = tolerance
    if everything:
        settings.entries = None
    total = work(one.net, samples, settings.entries)
    if everything:
        say(f"{total:,} derivatives, with two forward passes or more for each.")
    with tqdm(total=total, delay=1, leave=False, unit=" derivatives", disable=not sys.stderr.isatty()) as bar:
        settings.notice = bar.update
        return check(one.net, one.loss, *random_batch(one, samples), settings), settings


def _text(one: Round, report: Report, settings: Settings) -> str:
    """The table, what is wrong, and a sentence."""
    rows = [["gradient of", "shape", "alone", "whole net", "kinks", ""]]
    for part, tensor in report.tensors:
        both = [found for found in (tensor.alone, tensor.whole) if found is not None]
        kinks = sum(found.count("kink") for found in both)
        errors = ["" if found is None else f"{found.error:.1e}" for found in (tensor.alone, tensor.whole)]
        rows.append([f"{part.name}.{tensor.name}", str(tensor.shape), *errors, str(kinks or ""), _word(part, tensor)])
    meaning = "Relative error: |analytic - numeric| / max(|analytic|, |numeric|, 1 % of the largest gradient)"
    return "\n".join(
        [f"{meaning}\n", table(rows), "", *_wrong(one, report), *textwrap.wrap(_sentence(report, settings), 100)]
    )


def _word(part: Part, tensor: Tensor) -> str:
    """The verdict on a gradient."""
    if part.faults or tensor.verdict == "wrong":
        return "WRONG"
    if tensor.verdict == "unclear":
        return "unclear"
    return "ok" if tensor.alone or tensor.whole else "unchecked"


def _sentence(report: Report, settings: Settings) -> str:
    count = len(report.tensors)
    derivatives = sum(len(found.probes) for found in report.comparisons)
    kinks = sum(found.count("kink") for found in report.comparisons)
    lost = sum(found.count("lost") for found in report.comparisons)
    largest = max((found.error for found in report.comparisons), default=0.0)
    if report.right:
        aside = f", {kinks:,} of them on kinks" if kinks else ""
        aside += f", {lost:,} of them lost in rounding" if lost else ""
        return (
            f"All {count} gradients are right: the largest relative error is {largest:.1e} ({settings.tolerance:g} is "
            f"allowed) in {derivatives:,} derivatives{aside}."
        )
    wrong = sum(bool(part.faults) or tensor.verdict == "wrong" for part, tensor in report.tensors)
    unclear = sum(not part.faults and tensor.verdict == "unclear" for part, tensor in report.tensors)
    told = [
        f"{n} {verb}"
        for n, verb in ((wrong, "is wrong" if wrong == 1 else "are wrong"), (unclear, "cannot be judged"))
        if n
    ]
    rest = "" if report.whole else " The net as a whole is checked when no layer is wrong."
    return f"Of {count} gradients {' and '.join(told)}.{rest}"


def _wrong(one: Round, report: Report) -> list[str]:
    """What is wrong, each with its place in the config."""
    lines = []
    blamed = any(part.faults for part in report.parts)
    for part in report.parts:
        # Behind a layer that is to blame, the gradients of the whole net are wrong for no fault of their own.
        told = [] if blamed and report.whole else [(t, text) for t in part.tensors for text in _told(t)]
        texts = [f"{part.name}: {text}" for text in part.faults]
        texts += [f"{part.name}.{tensor.name}: {text}" for tensor, text in told]
        config = one.config
        keys = ("layers",) if part.place is None else config.layer_keys(part.place)
        keys = ("loss",) if part.name == "loss" else keys
        lines += [config.source.problem(keys, text) for text in texts]
    return [*lines, ""] if lines else []


def _told(tensor: Tensor) -> list[str]:
    """What is wrong with the gradient of a tensor."""
    found = next((c for c in (tensor.alone, tensor.whole) if c is not None and c.verdict != "right"), None)
    hints = " ".join(tensor.faults)
    if found is None:
        return [hints] if hints else []
    worst = found.worst
    if found.verdict == "unclear" or worst is None:
        why = f"{found.count('kink')} derivatives lie on kinks, {found.count('lost')} are lost in rounding"
        return [f"its gradient cannot be judged: {why}. Try --samples 8, another --seed, or a larger --tolerance."]
    where = "along a direction" if worst.index is None else f"at {list(worst.index)}"
    numbers = f"analytic {worst.analytic:.6g}, numeric {worst.numeric:.6g}, relative error {worst.error:.1e}"
    return [f"its gradient is wrong {where}: {numbers}. {hints}".rstrip()]


def _json(report: Report, settings: Settings) -> dict[str, Any]:
    return {
        "tolerance": settings.tolerance,
        "right": report.right,
        "whole_net_checked": report.whole,
        "derivatives": sum(len(found.probes) for found in report.comparisons),
        "kinks": sum(found.count("kink") for found in report.comparisons),
        "gradients": [
            {
                "layer": part.name,
                "kind": part.kind,
                "tensor": tensor.name,
                "shape": list(tensor.shape),
                "verdict": "wrong" if part.faults else tensor.verdict,
                "alone": _comparison_json(tensor.alone),
                "whole": _comparison_json(tensor.whole),
                "faults": [*part.faults, *tensor.faults],
            }
            for part, tensor in report.tensors
        ],
    }


def _comparison_json(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    worst = found.worst
    return {
        "error": found.error,
        "entries": len(found.entries),
        "kinks": found.count("kink"),
        "lost": found.count("lost"),
        "verdict": found.verdict,
        "worst": worst
        and {
            "index": None if worst.index is None else list(worst.index),
            "analytic": worst.analytic,
            "numeric": worst.numeric,
        },
    }


def _compare(one: Round, samples: int, tolerance: float | None) -> Parity:
    from tinynet.check.batch import random_batch
    from tinynet.check.parity import TOLERANCE, compare

    return compare(one, lambda step: random_batch(one, samples, f"check {step}"), tolerance or TOLERANCE)


def _parity_text(found: Parity) -> str:
    """A row for each layer, and the first place that differs."""
    kinds = {
        "output": "output",
        "back": "gradient of output",
        "gradient": "of parameters",
        "step": f"after {found.steps} steps",
    }
    rows = [["", *kinds.values()]]
    for where in dict.fromkeys(line.where for line in found.lines if line.kind != "rate"):
        errors = {k: [line.error for line in found.lines if (line.where, line.kind) == (where, k)] for k in kinds}
        rows.append([where, *(f"{max(e):.1e}" if e else "" for e in errors.values())])
    notes = ["The masks of Dropout are copied."] if found.masks else []
    if found.idle:
        notes.append(f"No step is taken with gradients that are zero but for rounding: {', '.join(found.idle)}.")
    first = found.first
    if first is None:
        largest = max(line.error for line in found.lines)
        notes.append(
            f"PyTorch gives the same outputs, loss, gradients and learning rates, and the same parameters in "
            f"{found.steps} training steps: the largest relative difference is {largest:.1e} ({found.tolerance:g} is "
            "allowed)."
        )
    else:
        place = f"{first.where}, {first.what}: relative difference {first.error:.1e} ({found.tolerance:g} is allowed)"
        notes.append(f"DIFFERENT from PyTorch, first in {place}.")
    wrapped = [line for note in notes for line in textwrap.wrap(note, 100)]
    return "\n".join(["Largest difference from PyTorch, relative to the largest number", "", table(rows), "", *wrapped])


def _parity_json(found: Parity) -> dict[str, Any]:
    first = found.first
    return {
        "tolerance": found.tolerance,
        "right": first is None,
        "first_difference": first and vars(first),
        "steps": found.steps,
        "masks_copied": found.masks,
        "left_out_of_steps": found.idle,
        "comparisons": [vars(line) for line in found.lines],
    }
