"""Block: a piece of a net, written once and used several times."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from tinynet.common.annotations import LayerList, PositiveInt
from tinynet.common.errors import ShapeError
from tinynet.common.suggestions import hint
from tinynet.nn.layer import Layer

MOST_LAYERS = 10_000  # in a net, where blocks can multiply a few lines into billions


@dataclass(eq=False)
class Block(Layer):
    """y = fₙ(… f₂(f₁(x))), each fᵢ a copy of the same layers

    Inside, `input` is the block's own input, and other names are those of its layers, or else of the layers around it;
    the layer that no other reads is its end. The copies follow one another. A layer `conv1` in the second copy of the
    block `stage` is called `stage.2.conv1`; each copy has parameters of its own. With `share`, the parameters are those
    of another block, layer by layer; `layers` and `repeat` may then be left out. `trainable: false` freezes all of it.

    Parameters
    ----------
    layers
        The layers of one copy.
    repeat
        Copies of it.

    Raises
    ------
    ShapeError
        If there are no layers.

    Example: {Block: {layers: [Linear: 3, Tanh], repeat: 2, name: stage}}
    """

    layers: LayerList = ()
    repeat: PositiveInt = 1

    def written(self, others: Mapping[str, Layer]) -> Block:
        """The block that holds the layers: this one, or one of the others whose parameters it shares.

        Parameters
        ----------
        others
            The layers beside it, by name.

        Raises
        ------
        ShapeError
            If there is no such block, or this one asks for what that one is not.
        """
        block, seen = self, [self.name]
        while block.share is not None:
            lender = others.get(block.share)
            if not isinstance(lender, Block) or lender.name in seen:
                blocks = [str(name) for name, other in others.items() if isinstance(other, Block) and name not in seen]
                raise ShapeError(f"there is no block {block.share!r} to share with. {hint(block.share, blocks)}")
            if not block.trainable and lender.trainable:
                raise ShapeError(f"shares the parameters of {block.share!r}, so write `trainable: false` there.")
            if block.layers:
                break
            seen.append(lender.name)
            block = lender
        if block is not self and self.repeat not in (1, block.repeat):
            raise ShapeError(f"has as many copies as {self.share!r}, whose parameters it shares. Remove `repeat`.")
        return block

    def count(self) -> int:
        """The layers in all of its copies, those of blocks in it included."""
        return self.repeat * sum(layer.count() if isinstance(layer, Block) else 1 for layer in self.layers)

    def copies(self, before: int = 0) -> list[list[Layer]]:
        """The layers of each copy, none of them used before.

        Parameters
        ----------
        before
            Layers that the net has already.

        Raises
        ------
        ShapeError
            If there are none, or too many in all.
        """
        if not self.layers:
            raise ShapeError("holds no layers. Write them as in `Block: {layers: [Linear: 25, ReLU]}`.")
        count = before + self.count()
        if count > MOST_LAYERS:
            raise ShapeError(f"makes it {count:,} layers, but a net has at most {MOST_LAYERS:,}. Repeat it less.")
        found = [[copy.deepcopy(layer) for layer in self.layers] for _ in range(self.repeat)]
        for layer in (layer for layers in found for layer in layers):
            if isinstance(layer, Layer) and not self.trainable:
                layer.trainable = False
        return found
