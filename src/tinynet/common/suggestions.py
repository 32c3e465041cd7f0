"""Did you mean: the known name that a misspelt or foreign one most probably stands for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# What other tools call it -> what it is called here.
FOREIGN = {
    "dense": "Linear",
    "fullyconnected": "Linear",
    "activation": "ReLU",
    "logistic": "Sigmoid",
    "meansquarederror": "MSE",
    "meanabsoluteerror": "L1",
    "mae": "L1",
    "smoothl1": "Huber",
    "bce": "BinaryCrossEntropy",
    "bcewithlogits": "BinaryCrossEntropy",
    "categoricalcrossentropy": "CrossEntropy",
    "sparsecategoricalcrossentropy": "CrossEntropy",
    "nll": "CrossEntropy",
    "cosineannealing": "CosineLR",
    "cosineannealinglr": "CosineLR",
    "cosinedecay": "CosineLR",
    "warmup": "LinearWarmup",
    "randomtranslation": "Shift",
    "translate": "Shift",
    "randomrotation": "Rotate",
    "rotation": "Rotate",
    "randomzoom": "Zoom",
    "circle": "Disk",
    "blobs": "Gaussians",
    "spiral": "Spirals",
    "learningrate": "lr",
    "alpha": "negative_slope",
    "negativeslope": "negative_slope",
    "units": "out_features",
    "filters": "out_channels",
    "rate": "p",
    "usebias": "bias",
    "kernelinitializer": "init",
    "epsilon": "eps",
    "decay": "weight_decay",
    "l2": "weight_decay",
    "batch": "batch_size",
    "batchsize": "batch_size",
    "numepochs": "epochs",
    "nepochs": "epochs",
    "clipnorm": "clip_norm",
    "gradclip": "clip_norm",
    "validationsplit": "validation",
    "model": "layers",
    "network": "layers",
    "data": "dataset",
    "augmentation": "augment",
    "augmentations": "augment",
    "transforms": "augment",
    "criterion": "loss",
    "scheduler": "schedule",
    "lrscheduler": "schedule",
}


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
