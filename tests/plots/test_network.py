"""The picture of the net: every layer and line is there, nothing crosses a box, and long nets fit on a slide."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tinynet.nn.layers.activations import ReLU, Tanh
from tinynet.nn.layers.block import Block
from tinynet.nn.layers.convolution import Conv2d
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.merge import Concat, Identity, Sum
from tinynet.nn.layers.normalization import BatchNorm
from tinynet.nn.layers.pooling import GlobalAvgPool2d, MaxPool2d, MaxUnpool2d, Upsample
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.net import Net
from tinynet.plots import draw, style
from tinynet.plots.network import drawing
from tinynet.plots.network.boxes import Box, Frame, every_box, parts_of, prefixes
from tinynet.plots.network.column import Column, Item
from tinynet.plots.network.columns import arrange, split
from tinynet.plots.network.placing import spread

IMAGE = (1, 28, 28)


def lenet() -> Net:
    pieces = [Conv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(16, 5), ReLU(), MaxPool2d(2), Flatten()]
    return Net([*pieces, Linear(120), ReLU(), Linear(84), ReLU(), Linear(10)], IMAGE)


def residual(repeat: int, channels: int = 4, first: int = 4) -> Net:
    conv = {"kernel_size": 3, "padding": 1}
    inside = [Conv2d(channels, **conv), BatchNorm(), ReLU(), Conv2d(channels, **conv), BatchNorm(name="end")]
    block = Block((*inside, Sum(["end", "input"]), ReLU()), repeat, name="stage")
    return Net([Conv2d(first, **conv), ReLU(), block, GlobalAvgPool2d(), Linear(10)], IMAGE)


def unet() -> Net:
    conv = {"kernel_size": 3, "padding": 1}
    down = [Conv2d(4, **conv), ReLU(name="keep1"), MaxPool2d(2), Conv2d(8, **conv), ReLU(name="keep2"), MaxPool2d(2)]
    middle = [Conv2d(16, **conv), ReLU(), Upsample(2, name="up2"), Concat(["up2", "keep2"]), Conv2d(8, **conv), ReLU()]
    return Net([*down, *middle, Upsample(2, name="up1"), Concat(["up1", "keep1"]), Conv2d(1, **conv)], IMAGE)


def towers() -> Net:
    left = Block((Linear(6), ReLU(), Linear(4), Tanh()), name="left")
    return Net([left, Block(share="left", inputs="input", name="right"), Concat(["left", "right"]), Linear(2)], (3,))


def figure_one() -> Net:
    """That of Bigoni and Ripamonti."""
    return Net(
        [
            Linear(25, name="Linear1"),
            Tanh(name="Nonlinear1"),
            Linear(2, name="Linear2"),
            Tanh(name="Nonlinear2"),
            Linear(2, name="Linear3", inputs="Nonlinear1"),
            Sum(["Nonlinear2", "Linear3"]),
        ],
        (2,),
    )


def nested() -> Net:
    inner = Block((Linear(4), Tanh(name="t"), Sum(["t", "input"])), 2, name="inner")
    outer = Block((Linear(4), inner, Linear(4, name="side", inputs="input"), Sum(["inner", "side"])), 2, name="outer")
    return Net([Linear(4), outer, Linear(2)], (2,))


def wide() -> Net:
    branches = [Linear(3, name=f"b{i}", inputs="stem") for i in range(5)]
    longer = Linear(3, name="longer", inputs="b4")
    return Net([Linear(3, name="stem"), *branches, longer, Concat(["b0", "b1", "b2", "b3", "longer"])], (2,))


NETS = [lenet, figure_one, towers, unet, nested, wide, lambda: residual(3), lambda: residual(9)]
every_net = pytest.mark.parametrize("make", NETS)


def drawn(net: Net, name: str = "net") -> Figure:
    with style.applied():
        figure = Figure()
        drawing.draw_network(figure, name, net, parts_of(net, drawing.DRAWN_ONCE))
        style.settle(figure)
    return figure


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def boxes(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each layer's box."""
    found = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch) and patch.zorder == 3]
    return [(b.get_x(), b.get_y(), b.get_x() + b.get_width(), b.get_y() + b.get_height()) for b in found]


def frames(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch) and patch.zorder == 1]


def along(figure: Figure) -> list[np.ndarray]:
    """Points on each line, close to each other, in the units of the picture."""
    found = []
    for patch in figure.axes[0].patches:
        if isinstance(patch, FancyArrowPatch):
            pixels = patch.get_transform().transform_path(patch.get_path()).to_polygons(closed_only=False)
            for corners in map(figure.axes[0].transData.inverted().transform, pixels):
                found.append(np.concatenate([np.linspace(a, b, 20) for a, b in pairwise(corners)]))
    return found


@every_net
def test_no_box_covers_another_and_no_line_crosses_one(make):
    figure = drawn(make())
    places = boxes(figure)
    width, height = figure.get_size_inches()
    for i, (left, top, right, bottom) in enumerate(places):
        assert 0 < left < right < width
        assert 0 < top < bottom < height
        assert not any(a < right and left < c and b < bottom and top < d for a, b, c, d in places[:i])
    lines = along(figure)
    assert lines
    for line in lines:
        assert (line > 0).all()
        assert (line < (width, height)).all()
        for left, top, right, bottom in places:
            inside = (np.array([left, top]) + 0.02 < line) & (line < np.array([right, bottom]) - 0.02)
            assert not inside.all(axis=1).any()


@every_net
def test_the_words_fit_their_boxes(make):
    figure = drawn(make())
    axes = figure.axes[0]
    places = boxes(figure)
    spans = [text.get_window_extent().transformed(axes.transData.inverted()) for text in axes.texts if text.get_text()]
    for left, top, right, bottom in places:
        inside = [s for s in spans if left < (s.x0 + s.x1) / 2 < right and top < (s.y0 + s.y1) / 2 < bottom]
        assert inside
        for span in inside:
            assert left + 0.05 < span.x0
            assert span.x1 < right - 0.05
            assert top < min(span.y0, span.y1)
            assert max(span.y0, span.y1) < bottom
        for i, a in enumerate(inside):
            assert not any(a.overlaps(b) for b in inside[:i])


@every_net
def test_it_fits_on_a_slide(make):
    width, height = drawn(make()).get_size_inches()
    # The letters, of 10.5 points in the picture, keep a size that the last row can read.
    assert 10.5 * min(13.3 / width, 7.5 / height) > 6


def test_a_box_says_name_kind_shape_and_parameters():
    found = words(drawn(lenet(), "lenet"))
    for entry in (("conv2d1", "Conv2d", "6 × 28 × 28", "156 parameters"), ("flatten1", "Flatten", "400")):
        start = found.index(entry[0])
        assert found[start : start + len(entry)] == list(entry)
    assert found[-4:] == ["linear3", "Linear", "10", "850 parameters"]
    assert found[:2] == ["input", "1 × 28 × 28"]
    figure = drawn(lenet(), "lenet")
    assert figure.get_suptitle() == "lenet: 12 layers, 61,706 parameters"
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["has parameters", "no parameters"]


@pytest.mark.parametrize("make", [lenet, figure_one, unet, wide])
def test_boxes_read_what_the_layers_read(make):
    net = make()
    items = parts_of(net, drawing.DRAWN_ONCE)
    assert [box.index for box in items] == list(range(-1, len(net.layers)))
    for box, node in zip(items[1:], net.graph.nodes, strict=True):
        assert [source - 1 for source in box.sources] == node.sources
        assert (box.name, box.kind) == (node.layer.name, type(node.layer).__name__)


def random_items(seed: int) -> list[Item]:
    rng = random.Random(seed)
    items = [Item(0.4, 0.4, 0.3)]
    for i in range(1, rng.randint(2, 24)):
        recent = range(max(0, i - rng.choice((1, 2, 4, 24))), i)
        sources = [rng.choice(recent) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
        left, right = rng.uniform(0.4, 1.5), rng.uniform(0.4, 1.5)
        items.append(Item(left, right, rng.uniform(0.2, 2), sources, rng.choice((0, 0, -0.3, 0.3))))
    return items


def course(points) -> list[tuple[float, float]]:
    """Points along a line: upright, level, or the S of a curve, whose middle is half way."""
    found = []
    for (x0, y0), (x1, y1) in pairwise(points):
        for share in np.linspace(0, 1, 15):
            bent = 3 * share**2 - 2 * share**3 if y0 != y1 else share
            found.append((x0 + bent * (x1 - x0), y0 + share * (y1 - y0)))
    return found


@pytest.mark.parametrize("seed", range(80))
def test_any_graph_is_laid_out_without_collisions(seed):
    items = random_items(seed)
    columns, most = 1 + seed % 4, 1 + seed % 5
    parts = split(items, columns, most)
    assert len(parts) <= columns
    assert all(len(going) <= most for _, going in parts)
    layout = arrange(items, parts)
    places = [(i.x - i.left, i.y, i.x + i.right, i.y + i.height) for i in items]
    for number, (left, top, right, bottom) in enumerate(places):
        assert -layout.left - 1e-6 <= left
        assert right <= layout.right + 1e-6
        assert top >= 0
        assert bottom <= layout.height + 1e-6
        assert not any(a < right and left < c and b < bottom and top < d for a, b, c, d in places[:number])
    for line in [*layout.lines, *layout.turns]:
        for x, y in course(line.points):
            assert not any(a + 1e-6 < x < c - 1e-6 and b + 1e-6 < y < d - 1e-6 for a, b, c, d in places)
            assert -layout.left - 0.3 < x < layout.right + 0.3
            assert -1e-6 <= y <= layout.height + 1e-6


@pytest.mark.parametrize("seed", range(80))
def test_every_line_leads_from_what_is_read_to_what_reads_it(seed):
    items = random_items(seed)
    layout = arrange(items, split(items, 1 + seed % 4, 1 + seed % 5))
    # From where a line ends, a turn or another line goes on; all that ends at a box began at one.
    came = {}
    for line in [*layout.turns, *layout.lines]:
        if getattr(line, "target", None) is None:
            came[tuple(np.round(line.points[-1], 6))] = line.points[0]
    feet = {tuple(np.round((i.x + i.outlet, i.y + i.height), 6)): number for number, i in enumerate(items)}
    found = Counter()
    for line in layout.lines:
        if line.target is not None:
            start = tuple(np.round(line.points[0], 6))
            while start not in feet:
                start = tuple(np.round(came[start], 6))
            target = items[line.target]
            assert line.points[-1][1] == target.y
            assert target.x - target.left < line.points[-1][0] < target.x + target.right
            found[feet[start], line.target] += 1
    assert found == Counter((source, i) for i, item in enumerate(items) for source in item.sources)


@pytest.mark.parametrize("seed", range(80))
def test_lines_come_in_side_by_side_in_their_order(seed):
    items = random_items(seed)
    layout = arrange(items)
    for number, item in enumerate(items[1:], start=1):
        lines = [line.points for line in layout.lines if line.target == number]
        # Where each comes from, before it turns to the box.
        came = [next((x for x, _ in reversed(points) if x != points[-1][0]), points[-1][0]) for points in lines]
        into = [points[-1][0] for points in lines]
        if len(lines) == 1:
            assert into == [item.x]
        assert len(set(into)) == len(into)
        assert [a for _, a in sorted(zip(came, into, strict=True))] == sorted(into)


@pytest.mark.parametrize("seed", range(80))
def test_lines_to_the_next_column_lie_within_each_other(seed):
    items = random_items(seed)
    turns = [turn.points for turn in arrange(items, split(items, 4, 4)).turns]
    for i, turn in enumerate(turns):
        for other in turns[:i]:
            assert not any(meet(p, q) for p in pairwise(turn) for q in pairwise(other))


def meet(p, q) -> bool:
    """Whether two lines, each upright or level, have a point in common."""
    spans = [[sorted(places) for places in zip(*line, strict=True)] for line in (p, q)]
    return all(a[0] <= b[1] and b[0] <= a[1] for a, b in zip(*spans, strict=True))


def test_a_line_that_passes_boxes_is_straight():
    for count in range(2, 9):
        between = [Item(1, 1 if i % 3 == 1 else 0.6, 0.5, [i]) for i in range(count)]
        items = [Item(1, 1, 0.5), *between, Item(1, 1, 0.5, [0, count])]
        layout = arrange(items)
        (skip,) = [line for line in layout.lines if line.target == count + 1 and line.points[0][1] == 0.5]
        (lane,) = {x for x, _ in skip.points[2:-2]}
        # As near to the boxes as may be.
        assert lane == pytest.approx(1.22)


def test_a_chain_stands_in_line_and_branches_stand_around_it():
    items = [Item(1, 1, 0.5)] + [Item(1, 1, 0.5, [i]) for i in range(4)]
    layout = arrange(items)
    assert {item.x for item in items} == {0}
    assert (layout.left, layout.right) == (1, 1)
    assert all(a.y + a.height < b.y for a, b in pairwise(items))
    # Two towers of different height that meet: mirrored, and each in line.
    items = [Item(1, 1, 0.5, sources) for sources in ([], [0], [1], [2], [0], [3, 4])]
    arrange(items)
    assert items[0].x == 0
    assert [items[1].x] * 2 == [items[2].x, items[3].x]
    assert items[1].x == pytest.approx(-items[4].x, abs=0.02)
    assert items[5].x == pytest.approx(0, abs=0.02)


def test_lines_do_not_cross_where_they_need_not():
    # 3 reads 1 and 4 reads 2, in whichever order they are written.
    for order in ([1, 2], [2, 1]):
        items = [Item(1, 1, 0.5, sources) for sources in ([], [0], [0], [order[0]], [order[1]], [3, 4])]
        arrange(items)
        assert (items[3].x < items[4].x) == (items[order[0]].x < items[order[1]].x)


def test_few_lines_cross():
    total = 0
    for seed in range(80):
        items = random_items(seed)
        ((rows, going),) = split(items, 1, 1)
        total += Column(items, rows, [], going).crossings()
    # In the order in which they are written it would be 463; if the last order counted, not the best, 118.
    assert total <= 55


def test_columns_are_of_one_length_and_end_where_few_lines_pass():
    items = [Item(1, 1, 0.5)] + [Item(1, 1, 0.5, [i]) for i in range(11)]
    assert [[len(rows), going] for rows, going in split(items, 3, 1)] == [[4, [3]], [4, [7]], [4, []]]
    items[8].sources.append(2)
    assert [going for _, going in split(items, 3, 1)] == [[2], [8], []]
    assert [going for _, going in split(items, 3, 2)] == [[2, 3], [2, 7], []]


def test_spread_keeps_its_distances_and_moves_as_little_as_can_be():
    assert spread([0, 0], [2], [1, 1]) == [-1, 1]
    assert spread([0, 0], [2], [3, 1]) == [-0.5, 1.5]
    assert spread([0, 5, 5], [1, 1], [1, 1, 1]) == [0, 4.5, 5.5]
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = rng.integers(1, 7)
        wanted, gaps, weights = rng.normal(size=n), rng.random(n - 1), rng.uniform(0.1, 3, n)
        x = np.array(spread(wanted, gaps, weights))
        assert (np.diff(x) >= gaps - 1e-9).all()
        best = weights @ (x - wanted) ** 2
        for _ in range(30):
            other = np.maximum.accumulate(x - np.r_[0, np.cumsum(gaps)] + rng.normal(size=n) * 0.05)
            assert weights @ (other + np.r_[0, np.cumsum(gaps)] - wanted) ** 2 >= best - 1e-9


def frame_names(net: Net) -> list[tuple[str, str]]:
    return [(item.name, item.note) for item in parts_of(net, drawing.DRAWN_ONCE) if isinstance(item, Frame)]


def test_blocks_are_frames():
    assert frame_names(residual(3)) == [("stage.1", ""), ("stage.2", ""), ("stage.3", "")]
    assert frame_names(towers()) == [("left", ""), ("right", "")]
    assert len(frames(drawn(residual(3)))) == 3
    # Inside, layers go by the names that they have in the block.
    frame = next(item for item in parts_of(residual(3), 40) if isinstance(item, Frame))
    assert [box.name for box in every_box([frame])] == [
        "conv2d1", "batchnorm1", "relu1", "conv2d2", "end", "sum1", "relu2"
    ]  # fmt: skip
    figure = drawn(residual(3))
    spots = [(f.get_x(), f.get_y(), f.get_x() + f.get_width(), f.get_y() + f.get_height()) for f in frames(figure)]
    held = [sum(a < left and b < top and right < c and bottom < d for left, top, right, bottom in boxes(figure))
            for a, b, c, d in spots]  # fmt: skip
    assert held == [7, 7, 7]


def test_equal_copies_of_a_large_net_are_drawn_once():
    net = residual(9)
    assert frame_names(net) == [("stage × 9", "9 × 312 parameters")]
    items = parts_of(net, drawing.DRAWN_ONCE)
    assert sum(1 for _ in every_box(items)) == 2 + 7 + 2
    # What comes before the block is read by its first copy, and what comes after reads its last.
    assert [item.sources for item in items] == [[], [0], [1], [2], [3], [4]]
    assert drawn(net).get_suptitle() == f"net: {len(net.layers)} layers, {net.vector.tensor.size:,} parameters"


def test_only_equal_copies_stand_for_each_other():
    def block() -> Block:
        return Block((Linear(4), ReLU(), Linear(4), Tanh()), 12, name="stage")

    assert frame_names(Net([block(), Linear(2)], (3,))) == [
        ("stage.1", ""),
        ("stage.2 … stage.12", "11 × 40 parameters"),
    ]
    # A copy whose end is read elsewhere too.
    read = Net([block(), Concat(["stage", "stage.5.tanh1"])], (4,))
    assert frame_names(read) == [
        ("stage.1 … stage.5", "5 × 40 parameters"),
        ("stage.6 … stage.12", "7 × 40 parameters"),
    ]


def test_a_block_that_is_read_across_its_border_has_no_frame():
    net = Net(
        [Linear(4, name="stem"), Tanh(name="t"), Block((Linear(4, name="a"), Sum(["a", "stem"])), name="b")], (2,)
    )
    items = parts_of(net, drawing.DRAWN_ONCE)
    assert all(isinstance(item, Box) for item in items)
    assert [box.name for box in every_box(items)] == ["stem", "t", "b.1.a", "b.1.sum1"]


def test_blocks_in_blocks():
    outer, *_ = [item for item in parts_of(nested(), 40) if isinstance(item, Frame)]
    assert outer.name == "outer.1"
    assert [item.name for item in outer.items if isinstance(item, Frame)] == ["outer.1.inner.1", "outer.1.inner.2"]
    assert prefixes("outer.1.inner.2.linear1") == ["outer.1", "outer.1.inner.2"]
    assert len(frames(drawn(nested()))) == 6


def test_shared_parameters_are_shown():
    figure = drawn(towers())
    assert words(figure).count("those of left.1.linear1") == 1
    assert words(figure).count("those of left.1.linear2") == 1
    assert not any("relu1" in text for text in words(figure) if text.startswith("those of"))
    dashed = [line.get_xydata() for line in figure.axes[0].get_lines()]
    places = boxes(figure)
    for (x0, y0), (x1, y1) in dashed:
        assert y0 == y1
        assert any(right == x0 and top < y0 < bottom for _, top, right, bottom in places)
        assert any(left == x1 and top < y0 < bottom for left, top, _, bottom in places)
    assert len(dashed) == 2
    assert figure.axes[0].get_legend().get_texts()[-1].get_text() == "the same parameters"
    # Below each other there is no line, but the words.
    net = Net([Linear(3, name="first"), Linear(3, share="first")], (3,))
    figure = drawn(net)
    assert not figure.axes[0].get_lines()
    assert words(figure)[-1] == "those of first"


def test_what_else_a_box_says():
    net = Net([Conv2d(3, 2, trainable=False), MaxPool2d(2), MaxUnpool2d("maxpool2d1"), Identity()], (1, 5, 5))
    items = parts_of(net, drawing.DRAWN_ONCE)
    assert [(box.look, box.note) for box in every_box(items)] == [
        ("frozen", "15 parameters"),
        ("plain", ""),
        ("plain", "uses maxpool2d1"),
        ("plain", ""),
    ]
    assert drawn(net).get_suptitle() == "net: 4 layers, 0 of 15 parameters learn"


@pytest.mark.parametrize("name", ["run", "a very long name " * 12, "中文 $x_1$"])
def test_names_of_any_length_and_script(name, tmp_path: Path):
    net = Net([Linear(3, name="a_layer_whose_name_is_far_too_long_for_any_box"), Linear(2, name="x层")], (2,))
    figure = drawn(net, name)
    with style.applied():
        style.save(figure, tmp_path / "network.png")
    width, _ = figure.get_size_inches()
    assert width < 16
    span = figure._suptitle.get_window_extent()
    assert span.x0 >= 0
    assert span.x1 <= width * figure.dpi


@pytest.mark.parametrize(("count", "columns"), [(4, 1), (8, 2), (16, 3), (100, 6)])
def test_a_long_chain_is_folded(count, columns):
    net = Net([layer for _ in range(count // 2) for layer in (Linear(9), ReLU())], (9,))
    figure = drawn(net)
    assert len({round(left, 2) for left, *_ in boxes(figure)[1:]}) == columns


def test_a_net_with_too_many_boxes_is_not_drawn(train_run):
    run, _ = train_run({"- ReLU": "- Block: {layers: [Linear: 3, Tanh, Linear: 5, ReLU], repeat: 10}"})
    assert "network.png" in [path.name for path in draw([run])]
    notes: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "MOST_BOXES", 5)
        assert "network.png" not in [path.name for path in draw([run], notes=notes)]
    (note,) = notes
    assert note == f"{run.folder}: network is not drawn: it would have 6 boxes, and 5 are the most to be read."


def test_runs_over_each_other_have_no_picture_of_a_net(train_run):
    runs = [train_run()[0], train_run()[0]]
    assert not any(path.name.startswith("network") for path in draw(runs))
