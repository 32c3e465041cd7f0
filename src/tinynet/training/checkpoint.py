"""A checkpoint: one .npz with parameters, the optimizer's state, the position and the config. Data, never code."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.common import VERSION
from tinynet.common.arrays import Array
from tinynet.common.components import shown
from tinynet.common.errors import CheckpointError, ConfigError, TinynetError
from tinynet.common.files import replacing
from tinynet.common.npz import read_npz
from tinynet.config.config import Config, from_json
from tinynet.data.dataset import Description
from tinynet.nn.parameter import Parameter
from tinynet.training.builder import build_round, generated
from tinynet.training.record import Progress
from tinynet.training.round import Round, numbered

FORMAT = 2
PARAMETERS, BEST, OPTIMIZER = "parameters/", "best/", "optimizer/"
# What each of several rounds has for itself.
PER_ROUND = ("epoch", "description", "data_sha256", "progress", "optimizer_steps", "step")


@dataclass
class Checkpoint:
    """The arrays of a checkpoint by their names in the file, and its metadata.

    Keys: `parameters/<layer>.<name>`; `best/<layer>.<name>`, the parameters at the best epoch, where there is one;
    `optimizer/<name>`, vectors over the trainable parameters in the net's order; and the JSON text `metadata` with
    format, tinynet (its version), config (resolved), epoch, rounds, description (classes, columns, standardisation),
    data_sha256, progress (the position, partial sums, best so far, all records; None in best.npz), optimizer_steps and
    step (updates of the net). With several rounds each array has an axis of them in front, and the list per_round holds
    each round's own epoch, description, data_sha256, progress, optimizer_steps and step. At its end the file's text has
    sha256, the checksum of all that stands before it and of the arrays.
    """

    arrays: dict[str, Array]
    metadata: dict[str, Any]

    @property
    def epoch(self) -> int:
        found: int = self.metadata["epoch"]
        return found

    @property
    def epochs(self) -> list[int]:
        """The epoch of each round."""
        return [int(own["epoch"]) for own in self.metadata.get("per_round", [self.metadata])]

    def only_best(self) -> Checkpoint:
        """The parameters at the best epoch as a checkpoint of their own, to evaluate but not to train on."""
        arrays = {k.replace(BEST, PARAMETERS, 1): v for k, v in self.arrays.items() if k.startswith(BEST)}
        return Checkpoint(arrays, {**self.metadata, "epoch": self.metadata["progress"].best_epoch, "progress": None})

    def save(self, path: Path) -> None:
        """Write the file so that at any moment either the old or the new one is there, whole."""
        text = json.dumps(self.metadata, default=lambda value: value.to_json())
        with replacing(path, sync=True) as file:
            np.savez(
                file, allow_pickle=False, metadata=np.array(signed(text, self.arrays)), **dict[str, Any](self.arrays)
            )


def signed(text: str, arrays: Mapping[str, Array]) -> str:
    """The metadata's text with the SHA-256 of it, and of the arrays' names, types, shapes and numbers, at its end."""
    digest = hashlib.sha256(text.encode())
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return f'{text[:-1]}, "sha256": "{digest.hexdigest()}"}}'


def joined(checkpoints: Sequence[Checkpoint], config: Config) -> Checkpoint:
    """The checkpoints of several rounds as one: each array with an axis of rounds in front.

    An array that a round has not got yet, such as what an optimizer remembers, is zero there. The metadata keeps what
    belongs to each round under `per_round`. A single round is left as it is.
    """
    if len(checkpoints) == 1:
        return checkpoints[0]
    arrays: dict[str, Array] = {}
    for key, like in {key: values for found in checkpoints for key, values in found.arrays.items()}.items():
        arrays[key] = np.stack([found.arrays.get(key, np.zeros_like(like)) for found in checkpoints])
    first = checkpoints[0].metadata
    metadata = {name: value for name, value in first.items() if name not in PER_ROUND}
    metadata |= {"config": config, "rounds": len(checkpoints), "epoch": max(found.epoch for found in checkpoints)}
    metadata["per_round"] = [{name: found.metadata[name] for name in PER_ROUND} for found in checkpoints]
    return Checkpoint(arrays, metadata)


def of_round(checkpoint: Checkpoint, number: int) -> Checkpoint:
    """One round of a checkpoint of several."""
    own = checkpoint.metadata["per_round"][number]
    metadata = {name: value for name, value in checkpoint.metadata.items() if name != "per_round"}
    metadata |= {name: own[name] for name in PER_ROUND} | {"rounds": 1}
    best = own["progress"] is not None and own["progress"]["best_epoch"] is not None
    arrays = {key: values[number] for key, values in checkpoint.arrays.items() if best or not key.startswith(BEST)}
    return Checkpoint(arrays, metadata)


def capture(one: Round) -> Checkpoint:
    """A copy of all that a round is at this moment; it becomes JSON only when it is saved."""
    net, progress = one.net, one.progress
    arrays = {PARAMETERS + p.name: p.tensor.copy() for p in (*net.parameters, *net.buffers)}
    if one.best_parameters is not None:
        arrays |= {BEST + p.name: values for p, values in net.vector.views(one.best_parameters)}
    arrays |= {OPTIMIZER + name: vector.copy() for name, vector in one.optimizer.state.items()}
    metadata = {
        "format": FORMAT,
        "tinynet": VERSION,
        "config": one.config,
        "epoch": progress.epoch,
        "rounds": 1,
        "description": one.description,
        "data_sha256": one.digest(),
        "progress": replace(progress, records=list(progress.records)),
        "optimizer_steps": one.optimizer.steps,
        "step": net.clock.step,
    }
    return Checkpoint(arrays, metadata)


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint file.

    Raises
    ------
    CheckpointError
        If it is missing, truncated, damaged, of another format version, or no checkpoint.
    """
    try:
        arrays = read_npz(Path(path), packed=False)
    except TinynetError as error:
        raise CheckpointError(f"{error} A checkpoint is last.npz or best.npz in the checkpoints/ of a run.") from None
    text = arrays.pop("metadata", None)
    if text is None or text.ndim != 0 or text.dtype.kind != "U":
        raise CheckpointError(f"{path}: this is an .npz file, but no tinynet checkpoint: it has no metadata text")
    try:
        metadata = json.loads(str(text))
        version = metadata["format"]
        metadata["epoch"] = int(metadata["epoch"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise CheckpointError(f"{path}: the checkpoint's metadata is broken") from None
    if version != FORMAT:
        raise CheckpointError(
            f"{path}: the checkpoint has format {shown(version)}, but this tinynet ({VERSION}) reads "
            f"format {FORMAT}. Use the tinynet that wrote it ({shown(metadata.get('tinynet'))}), or train anew."
        )
    if str(text) != signed(str(text).rpartition(', "sha256"')[0] + "}", arrays):
        raise CheckpointError(
            f"{path}: the checkpoint is damaged, or was changed by another program: its checksum is not that of what "
            "it holds. Take a copy of it, or train anew."
        )
    del metadata["sha256"]
    return Checkpoint(arrays, metadata)


def of_run(folder: Path) -> Path | None:
    """The best.npz in a run's folder, or its last.npz where there is none."""
    files = (folder / "checkpoints" / name for name in ("best.npz", "last.npz"))
    return next((file for file in files if file.exists()), None)


def restored(checkpoint: Checkpoint, file: str, config: Config | None = None) -> tuple[Config, list[Round]]:
    """The config and the rounds of a checkpoint that has been read.

    Parameters
    ----------
    checkpoint
        As read.
    file
        Its name, for messages.
    config
        To go on with, instead of the one in the checkpoint (a resumed training with more epochs).

    Raises
    ------
    CheckpointError
        If what the checkpoint holds is broken, or does not fit its config.
    """
    try:
        config = config or from_json(checkpoint.metadata["config"], file)
        count = config.training.rounds
        parts = [of_round(checkpoint, number) for number in range(count)] if count > 1 else [checkpoint]
        rounds = [_round(one, file, config.of_round(number)) for number, one in enumerate(parts)]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{file}: the checkpoint's metadata is broken ({error})") from None
    except ConfigError as error:
        raise CheckpointError(f"{file}: the checkpoint's config does not fit this tinynet:\n{error}") from None
    for one in rounds[1:] if not generated(config) else ():
        one.first = rounds[0]
    return config, numbered(rounds)


def _round(checkpoint: Checkpoint, file: str, config: Config) -> Round:
    """The round of a checkpoint of one."""
    metadata = checkpoint.metadata
    one = build_round(config, Description.from_json(metadata["description"]), restored=True)
    one.data_sha256 = str(metadata["data_sha256"])
    _restore_parameters(checkpoint, [*one.net.parameters, *one.net.buffers], file)
    if metadata["progress"] is None:
        one.parameters_only, one.progress.epoch = True, checkpoint.epoch
    else:
        _restore_training(checkpoint, one, file)
    return one


def _restore_parameters(checkpoint: Checkpoint, parameters: list[Parameter], file: str) -> None:
    """Put a checkpoint's parameters into those of a net.

    Raises
    ------
    CheckpointError
        If one is missing, of another shape, or not finite numbers.
    """
    for parameter in parameters:
        parameter.tensor = _array(checkpoint, PARAMETERS + parameter.name, parameter.tensor.shape, file)
    known = {PARAMETERS + parameter.name for parameter in parameters}
    extra = [key for key in checkpoint.arrays if key.startswith(PARAMETERS) and key not in known]
    if extra:
        raise CheckpointError(f"{file}: the checkpoint holds {', '.join(extra)}, which its config does not have")


def _restore_training(checkpoint: Checkpoint, one: Round, file: str) -> None:
    """Put the progress, the optimizer's state and the best parameters of a checkpoint into a round."""
    net, optimizer = one.net, one.optimizer
    one.progress = Progress.from_json(checkpoint.metadata["progress"])
    net.clock.step = int(checkpoint.metadata["step"])
    optimizer.steps = int(checkpoint.metadata["optimizer_steps"])
    for name in optimizer.state_names if optimizer.steps > 0 else ():
        vector = _array(checkpoint, OPTIMIZER + name, net.vector.tensor.shape, file)
        optimizer.state[name] = vector.astype(net.dtype)
    for key, values in checkpoint.arrays.items():  # what a person's own optimizer remembers in other shapes
        if key.startswith(OPTIMIZER) and net.clock.step > 0:
            optimizer.state.setdefault(key.removeprefix(OPTIMIZER), values)
    if one.progress.best_epoch is not None:
        best = np.empty_like(net.vector.all_tensors)
        for parameter, view in net.vector.views(best):
            view[...] = _array(checkpoint, BEST + parameter.name, view.shape, file)
        one.best_parameters = best


def _array(checkpoint: Checkpoint, key: str, shape: tuple[int, ...], file: str) -> Array:
    values = checkpoint.arrays.get(key)
    if values is None:
        raise CheckpointError(f"{file}: the checkpoint lacks {key}")
    if values.shape != shape or values.dtype.kind != "f":
        raise CheckpointError(
            f"{file}: {key} has shape {values.shape} and type {values.dtype}, but its config needs numbers {shape}"
        )
    if not np.isfinite(values).all():
        raise CheckpointError(f"{file}: {key} holds NaN or infinity")
    return values
