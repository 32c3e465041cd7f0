"""Did you mean: the known name that a misspelt or foreign one most probably stands for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# What it is called here -> what other tools call it.
OTHERS = {
    "Linear": "dense fullyconnected",
    "ReLU": "activation",
    "Sigmoid": "logistic",
    "MSE": "meansquarederror",
    "L1": "meanabsoluteerror mae",
    "Huber": "smoothl1",
    "BinaryCrossEntropy": "bce bcewithlogits",
    "CrossEntropy": "categoricalcrossentropy sparsecategoricalcrossentropy nll",
    "CosineLR": "cosineannealing cosineannealinglr cosinedecay",
    "LinearWarmup": "warmup",
    "Shift": "randomtranslation translate",
    "Rotate": "randomrotation rotation",
    "Zoom": "randomzoom",
    "Disk": "circle",
    "Gaussians": "blobs",
    "Spirals": "spiral",
    "lr": "learningrate",
    "negative_slope": "alpha",
    "out_features": "units",
    "out_channels": "filters",
    "p": "rate",
    "bias": "usebias",
    "init": "kernelinitializer",
    "eps": "epsilon",
    "weight_decay": "decay l2",
    "batch_size": "batch",
    "epochs": "numepochs nepochs",
    "clip_norm": "gradclip",
    "validation": "validationsplit",
    "layers": "model network",
    "dataset": "data",
    "augment": "augmentation augmentations transforms",
    "loss": "criterion",
    "schedule": "scheduler lrscheduler",
}
FOREIGN = {foreign: name for name, others in OTHERS.items() for foreign in others.split()}


def suggestion(given: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt or foreign one most probably means, or None."""
    known = list(known)
    plain = re.sub(r"[^a-z0-9]", "", given.lower())
    by_plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in known}
    for word in (plain, plain.removesuffix("loss"), plain.removesuffix("layer")):
        if word in by_plain:
            return by_plain[word]
        if FOREIGN.get(word) in known:
            return FOREIGN[word]
    close = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None


def hint(given: str, known: Iterable[str], also: Iterable[str] = ()) -> str:
    """What to say to a name that is not among those known, or those that one may as well have meant."""
    known = list(known)
    guess = suggestion(given, [*known, *also])
    return f"Did you mean {guess!r}?" if guess else f"There are: {', '.join(known) or 'none'}."
