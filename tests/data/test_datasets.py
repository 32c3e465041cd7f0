"""Datasets: what generators draw, how splits are made and scaled, and what is read or refused in a person's files."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinynet.common import components
from tinynet.common.errors import DataError, OptionError
from tinynet.data import own_files
from tinynet.data.dataset import Description
from tinynet.data.loader import Loader, Scaling, Split
from tinynet.data.own_files import CSV, NPZ, read_table
from tinynet.data.plane import XOR, Disk, Gaussians, Moons, Rings, Spirals

PLANE = [Disk(), XOR(), Gaussians(classes=3), Spirals(classes=5), Moons(), Rings()]
MANY = 100_000


def names(problems):
    return [type(problem).__name__ for problem in problems]


@pytest.mark.parametrize("problem", PLANE, ids=names(PLANE))
def test_every_generator_draws_points_with_labels(problem):
    problem.train, problem.test = 301, 200
    data = problem.load(0)
    for split, n in ((data.train, 301), (data.test, 200)):
        assert (split.x.shape, split.x.dtype) == ((n, 2), np.float64)
        assert (split.labels.shape, split.labels.dtype, split.targets) == ((n,), np.intp, None)
        frequency = np.bincount(split.labels)
        assert len(frequency) == problem.class_count()
        if not isinstance(problem, (Disk, XOR)):
            assert np.ptp(frequency) <= 1
        # Of random rows 1 - Σ p² change the class from one to the next; ordered ones would change it hardly or always.
        changes, random = np.mean(np.diff(split.labels) != 0), 1 - ((frequency / n) ** 2).sum()
        assert abs(changes - random) < 5 * 0.5 / np.sqrt(n)
    described = data.description
    assert (described.input_shape, described.columns) == ((2,), ["x1", "x2"])
    assert described.classes == [str(k) for k in range(problem.class_count())]


@pytest.mark.parametrize("problem", PLANE, ids=names(PLANE))
def test_a_generator_is_a_function_of_the_seed_and_the_test_split_of_nothing_else(problem):
    problem.train = problem.test = 50
    first, again, other = problem.load(1), problem.load(1), problem.load(2)
    assert first.sha256() == again.sha256() != other.sha256()
    assert not np.array_equal(first.train.x, first.test.x)
    problem.train = 73
    assert problem.load(1).test.x.tobytes() == first.test.x.tobytes()
    assert problem.load(1).test.labels.tobytes() == first.test.labels.tobytes()


def test_the_datasets_are_registered_with_train_or_path_as_first_option():
    first = {name: components.first_option(found).name for name, found in components.classes("dataset").items()}
    assert {first[name] for name in ("Disk", "XOR", "Gaussians", "Spirals", "Moons", "Rings")} == {"train"}
    assert first["NPZ"] == first["CSV"] == "path"
    for name in first:
        found = components.find(name)
        assert all(option.description for option in components.options(found)), name
        assert components.documentation(found).example != name
    assert [o.name for o in components.options(CSV) if o.is_path] == ["path"]


def test_the_disk_has_half_of_the_square():
    train = Disk(train=MANY).load(0).train
    # π r² = 1/2; the deviation of the share of n draws is √(1/4 / n), and five of them are the bound.
    assert abs(train.labels.mean() - 0.5) < 5 * 0.5 / np.sqrt(MANY)
    inside = np.hypot(*(train.x - 0.5).T) < 0.398942280
    np.testing.assert_array_equal(train.labels, inside)
    assert 0 <= train.x.min() < 0.001
    assert 0.999 < train.x.max() < 1


def test_the_border_of_the_disk_is_outside():
    class Points:
        def random(self, shape):
            return np.array([[1.0, 0.5], [0.99, 0.5], [0.5, 0.0], [0.0, 0.0]]) if shape == (4, 2) else np.ones(shape)

    assert Disk(radius=0.5).draw(4, Points())[1].tolist() == [0, 1, 0, 0]
    assert Disk(radius=0.5, center=(1.0, 0.0)).draw(4, Points())[1].tolist() == [0, 0, 0, 0]
    assert Disk(radius=0.51, center=(0.5, 0.0)).draw(4, Points())[1].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", [Disk, XOR])
def test_noise_flips_its_share_of_labels_and_moves_no_point(kind):
    clean, noisy = kind(train=MANY).load(3).train, kind(train=MANY, noise=0.2).load(3).train
    np.testing.assert_array_equal(clean.x, noisy.x)
    # √(0.2 · 0.8 / n) is the deviation of the share.
    assert abs(np.mean(clean.labels != noisy.labels) - 0.2) < 5 * 0.4 / np.sqrt(MANY)
    assert set(noisy.labels) == {0, 1}


@pytest.mark.parametrize("kind", [Spirals, Moons, Rings])
def test_noise_is_the_deviation_of_the_coordinates(kind):
    clean, noisy = kind(train=MANY, noise=0).load(3).train, kind(train=MANY, noise=0.3).load(3).train
    np.testing.assert_array_equal(clean.labels, noisy.labels)
    # The deviation of a deviation is σ/√(2n).
    np.testing.assert_allclose((noisy.x - clean.x).std(axis=0), 0.3, atol=5 * 0.3 / np.sqrt(2 * MANY))


def test_the_curves_are_those_of_the_equations():
    x, y = (lambda s: (s.x, s.labels))(XOR().load(0).train)
    np.testing.assert_array_equal(y, np.sign(x[:, 0]) != np.sign(x[:, 1]))
    x, y = (lambda s: (s.x, s.labels))(Rings(noise=0, factor=0.3).load(0).train)
    np.testing.assert_allclose(np.hypot(*x.T), np.array([1.0, 0.3])[y])
    x, y = (lambda s: (s.x, s.labels))(Moons(noise=0).load(0).train)
    np.testing.assert_allclose(np.hypot(*(x - np.array([[0, 0], [1, 0.5]])[y]).T), 1)
    assert (x[y == 0, 1] >= 0).all()
    assert (x[y == 1, 1] <= 0.5).all()
    x, y = (lambda s: (s.x, s.labels))(Spirals(noise=0, classes=3, turns=0.8).load(0).train)
    angle = 2 * np.pi * (0.8 * np.hypot(*x.T) + y / 3)
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(1j * np.arctan2(x[:, 0], x[:, 1])), atol=1e-9)


def test_the_blobs_overlap_as_much_as_normal_distributions_do():
    train = Gaussians(train=MANY, deviation=0.5).load(0).train
    # Centres (1, 0) and (-1, 0): the better guess is wrong beyond two deviations, Φ(-2) = 0.02275.
    wrong = np.mean((train.x[:, 0] < 0) != (train.labels == 1))
    assert abs(wrong - 0.02275) < 5 * np.sqrt(0.02275 / MANY)


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: Disk(train=0), "train must be a whole number > 0, not 0"),
        (lambda: Disk(noise=1.0), "noise must be"),
        (lambda: Disk(center=(0.5,)), "center must be"),
        (lambda: Disk(radius=-1), "radius must be"),
        (lambda: Gaussians(classes=1), "classes must be a whole number >= 2 and <= 10000, not 1"),
        (lambda: Moons(noise=-0.1), "noise must be"),
        (lambda: Rings(factor=1.0), "factor must be"),
        (lambda: CSV("a.csv", "y", test=0.0), "test must be"),
        (lambda: NPZ("a.npz", task="regress"), "task must be"),
    ],
)
def test_options_out_of_their_limits_are_refused(make, option):
    with pytest.raises(OptionError, match=option):
        make()


def rows(*parts):
    return sorted(map(tuple, np.concatenate([part.x for part in parts]).tolist()))


@given(share=st.floats(0.02, 0.98), n=st.integers(50, 80), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_validation_takes_its_share_of_the_training_rows_and_nothing_else(share, n, seed):
    whole, data = Disk(train=n).load(seed), Disk(train=n, validation=share).load(seed)
    assert len(data.validation) == round(share * n)
    # The points are all different, so that equal rows are the same rows: disjoint and complete.
    assert rows(data.train, data.validation) == rows(whole.train)
    assert rows(data.test) == rows(whole.test)
    assert data.sha256() == Disk(train=n, validation=share).load(seed).sha256()
    labels = dict(zip(map(tuple, whole.train.x), whole.train.labels, strict=True))
    assert [labels[tuple(x)] for x in data.validation.x] == data.validation.labels.tolist()


def test_a_validation_split_without_rows_is_refused():
    with pytest.raises(OptionError, match=r"validation 0\.01 of 10 training rows leaves an empty split"):
        Disk(train=10, validation=0.01).load(0)


@pytest.fixture
def npz(tmp_path):
    """Saves arrays, a complete file unless told otherwise, and returns its dataset."""
    numbers = count()

    def make(options=None, **changed):
        rng = np.random.default_rng(0)
        whole = {"x_train": rng.normal(5, 3, (40, 3)), "y_train": rng.normal(100, 20, 40)}
        whole |= {"x_test": rng.normal(7, 1, (20, 3)), "y_test": rng.normal(80, 10, 20)}
        path = tmp_path / f"d{next(numbers)}" / "data.npz"
        path.parent.mkdir()
        np.savez(path, **{name: values for name, values in (whole | changed).items() if values is not None})
        return NPZ(str(path), **(options or {}))

    return make


def test_standardising_uses_the_training_split_alone(npz):
    plain = npz({"validation": 0.25}).load(0)
    data = npz({"validation": 0.25, "standardize": True, "standardize_targets": True}).load(0)
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1)
    np.testing.assert_allclose((data.train.targets.mean(), data.train.targets.std()), (0, 1), atol=1e-12)
    mean, deviation = plain.train.x.mean(axis=0), plain.train.x.std(axis=0)
    for name in ("validation", "test"):
        np.testing.assert_allclose(data.split(name).x, (plain.split(name).x - mean) / deviation)
        back = data.description.target_scaling.undo(data.split(name).targets)
        np.testing.assert_allclose(back, plain.split(name).targets)
    assert plain.description.input_scaling is plain.description.target_scaling is None
    assert npz({"standardize": True}).load(0).description.target_scaling is None


def test_a_known_description_gives_its_own_scaling(npz):
    options = {"standardize": True, "standardize_targets": True}
    known = Description.from_json(json.loads(json.dumps(npz(options).load(0).description.to_json())))
    known.input_scaling = Scaling(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 4.0]))
    plain, data = npz().load(0), npz(options).load(0, replace(known))
    np.testing.assert_allclose(data.train.x, (plain.train.x - [1, 2, 3]) / [2, 2, 4])
    np.testing.assert_allclose(known.target_scaling.mean, plain.train.targets.mean(axis=0))


def test_a_column_that_never_changes_is_only_shifted(npz):
    data = npz({"standardize": True}, x_train=np.full((40, 3), 3.0), x_test=np.full((20, 3), 4.0)).load(0)
    assert (data.train.x == 0).all()
    assert (data.test.x == 1).all()


@given(
    n=st.integers(1, 60),
    size=st.integers(1, 70),
    first=st.integers(0, 5),
    width=st.sampled_from([1, 2**14, 2**16]),
    shuffled=st.booleans(),
    labelled=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_the_loader_gives_the_batches_of_plain_slicing(n, size, first, width, shuffled, labelled):
    # A row of 2**14 numbers has 128 kB, so a block of about 1 MB ends every 8 rows; of 2**16 numbers, every second.
    x = np.broadcast_to(np.arange(float(n))[:, None], (n, width))
    split = Split(x, np.arange(n) if labelled else None, None if labelled else -np.arange(n)[:, None])
    order = np.random.default_rng(n).permutation(n) if shuffled else None
    loader = Loader(split, size, order, first)
    taken = np.arange(n) if order is None else order
    expected = [taken[start : start + size] for start in range(0, n, size)]
    assert len(loader) == len(expected)
    found = list(loader)
    assert len(found) == len(expected[first:])
    for (x, labels, targets), numbers in zip(found, expected[first:], strict=True):
        assert x.shape == (len(numbers), width)
        np.testing.assert_array_equal(x[:, -1], numbers)
        assert (labels is None, targets is None) == (not labelled, labelled)
        np.testing.assert_array_equal(labels if labelled else -targets[:, 0], numbers)


@pytest.mark.parametrize(("rows", "size", "batches"), [(4, 3, 2), (3, 3, 1), (0, 3, 0), (25, 10, 3)])
def test_the_loader_s_length_is_that_of_the_order(rows, size, batches):
    split = Split(np.arange(20.0)[:, None], np.arange(20))
    loader = Loader(split, size, np.arange(rows) % 20)
    assert len(loader) == len(list(loader)) == batches


@pytest.mark.parametrize("size", [0, -1])
def test_the_loader_refuses_batches_of_nothing(size):
    with pytest.raises(OptionError, match=f"^batch_size must be a whole number > 0, not {size}$"):
        Loader(Split(np.zeros((4, 1))), size)


@pytest.fixture
def table(tmp_path):
    """Writes iris.csv and returns its dataset."""

    def make(text, column="y", **options):
        (tmp_path / "iris.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return CSV(str(tmp_path / "iris.csv"), column, **options)

    return make


def test_a_csv_of_text_classes_is_split_by_the_seed(table):
    kinds = ["setosa", "virginica", "versicolor"]
    text = "\ufeffwidth, species,length\r\n" + "".join(f' {i}.5 ,{kinds[i % 3]},"{-i}"\r\n' for i in range(30))
    iris = table(text, "species", test=0.3)
    data = iris.load(0)
    assert (len(data.train), len(data.test)) == (21, 9)
    assert (data.description.columns, data.description.target) == (["width", "length"], "species")
    assert data.description.classes == sorted(kinds)
    for part in (data.train, data.test):
        number = -part.x[:, 1]
        np.testing.assert_array_equal(part.x[:, 0], number + 0.5)
        assert (np.diff(number) > 0).all()
        assert [sorted(kinds)[k] for k in part.labels] == [kinds[int(i) % 3] for i in number]
    assert sorted((-np.concatenate([data.train.x, data.test.x])[:, 1]).tolist()) == list(range(30))
    assert iris.load(0).sha256() == data.sha256() != iris.load(1).sha256()
    found = "iris.csv: column 'species' holds text, so this is a classification of 3 classes: "
    assert data.notes == [found + "setosa, versicolor, virginica."]


@pytest.mark.parametrize(
    ("cells", "task", "classes", "note"),
    [
        (
            ["10", "9", "-1", "9.0"],
            None,
            ["-1", "9", "10"],
            "holds whole numbers, so .* 3 classes: -1, 9, 10; write task",
        ),
        (["10", "9", "-1", "9.5"], None, None, "holds fractional numbers, so this is a regression\\."),
        (
            ["10", "9", "-1", "9"],
            "regression",
            None,
            "holds whole numbers; task is regression, so this is a regression",
        ),
        (["10", "9", "x", "9.5"], "classification", ["10", "9", "9.5", "x"], "holds text; task is classification"),
        (["x", "x", "x", "x"], None, ["x"], "holds text, so this is a classification of 1 class: x[.]"),
    ],
)
def test_a_csv_column_decides_on_the_task_unless_told(table, cells, task, classes, note):
    data = table("a,y\n" + "".join(f"1,{cell}\n" for cell in cells), task=task, test=0.25).load(0)
    assert data.description.classes == classes
    assert len(data.notes) == 1
    assert re.match(f"iris.csv: column 'y' {note}", data.notes[0])
    if classes is None:
        assert sorted(np.concatenate([data.train.targets, data.test.targets])[:, 0]) == sorted(map(float, cells))
    else:
        found = [classes[k] for k in np.concatenate([data.train.labels, data.test.labels])]
        assert sorted(found) == sorted(cell.removesuffix(".0") for cell in cells)


BAD_TABLES = [
    ("", "iris.csv: is empty. Its first line has to name the columns."),
    ("a,y\n", "iris.csv: has a header line, but no rows."),
    ("1,2.5\n3,4\n", "iris.csv:1: has no header line. Put a line with the names of the columns first."),
    ("a;y\n1;2\n", "iris.csv:1: the cells are separated by ';'. Separate them by commas."),
    ("a\ty\n1\t2\n", "iris.csv:1: the cells are separated by '\\\\t'. Separate them by commas."),
    ("a, ,y\n1,2,3\n", "iris.csv:1: column 2 has no name. Give every column one."),
    ("\na,y,a\n1,2,3\n", "iris.csv:2: two columns are called 'a'. Give each its own name."),
    ("a,Y\n1,2\n", "iris.csv: has no column 'y'. Did you mean 'Y'[?] Its columns are a, Y."),
    ("a,quality\n1,2\n", "iris.csv: has no column 'y'. Its columns are a, quality."),
    ("y\n1\n2\n", "iris.csv: has no column but the target 'y'. Add columns of inputs."),
    ("a,y\n1,2\n1\n", "iris.csv:3: the header names 2 columns, but the row has cells for 1. Give every row 2 cells."),
    (
        "a,y\n1\n1,2,3\n",
        "iris.csv:2: the header names 2 columns, but .* for 1. Give every row 2 cells. 1 more row has not.",
    ),
    (
        "a,y\n1\n1,2,3\n1\n",
        "iris.csv:2: the header names 2 columns, but .* for 1. Give every row 2 cells. 2 more rows have not.",
    ),
    ("a,y\n1,2\n ,3\n", "iris.csv:3: column 'a' is empty. Every cell needs a number."),
    ("a,y\n1,2\n\n\nx,3\n", "iris.csv:5: column 'a' holds 'x', which is no number. Every cell needs a number."),
    ("a,b,y\n1,?,2\n1,,3\n", "iris.csv:2: column 'b' holds '[?]', which .* needs a number. 1 more has none."),
    ("a,b,y\n1,inf,2\nNA,nan,3\n", "iris.csv:2: column 'b' holds 'inf'. Every cell needs a number. 2 more have none."),
    ("a,y\n1_000,2\n1,3\n", "iris.csv:2: column 'a' holds '1_000', which is no number."),
    ('a,y\n1,"p\nq\nr"\nx,s\n', "iris.csv:5: column 'a' holds 'x'"),
    ('a,y\n"1\n2",s\n', "iris.csv:2: column 'a' holds '1.*2'"),
    ('a,y\n1,2\n1,"3\n1,4\n', "iris.csv:3: is no CSV .*Look for a quotation mark without its partner."),
    ("a,y\n1,s\n1,\n1,t\n", "iris.csv:3: column 'y' is empty. Every cell needs a value."),
    ("a,y\n1,s\n1,nan\n1,\n", "iris.csv:3: column 'y' holds 'nan'. Every cell needs a value. 1 more has none."),
    ("a,y\n1,2\n1,NA\n1,4.5\n", "iris.csv:3: column 'y' holds 'NA', but line 2 holds the number '2'. Make all of them"),
    (b"a,y\n1,\xff\n", "iris.csv: is no UTF-8 text. Save it as CSV in UTF-8."),
    ("a,y\n1,2\n1,3\n", "iris.csv: test 0.2 of 2 rows leaves an empty split. Change the share."),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_a_csv_problem_names_its_place(table, text, message):
    with pytest.raises(DataError, match="^" + message):
        table(text).load(0)


def test_a_csv_task_that_the_column_does_not_allow(table):
    with pytest.raises(
        DataError, match=r"iris\.csv:3: column 'y' holds '2\.5', a fractional number, which is no class"
    ):
        table("a,y\n1,2\n1,2.5\n", task="classification").load(0)
    with pytest.raises(DataError, match=r"iris\.csv:2: column 'y' holds 'x', which is no number\..* 1 more has none"):
        table("a,y\n1,x\n1,y\n", task="regression").load(0)


def test_more_classes_than_can_be_coded_are_refused(table, monkeypatch):
    monkeypatch.setattr(own_files, "MAX_CLASSES", 3)
    assert len(table("a,y\n1,1\n1,2\n1,3\n").load(0).description.classes) == 3
    with pytest.raises(DataError, match="column 'y' holds text, which would be 4 classes, more than 3"):
        table("a,y\n1,p\n1,q\n1,r\n1,s\n").load(0)


def test_a_table_gives_chosen_columns_in_the_order_asked_for(table):
    found = read_table(table("a,b,c\n1,x,3\n4,y,6e1\n").path)
    np.testing.assert_array_equal(found.numbers(["c", "a"]), [[3, 1], [60, 4]])
    with pytest.raises(DataError, match="has no column 'd'"):
        found.numbers(["d"])


@pytest.mark.parametrize("make", [lambda path: CSV(path, "y"), NPZ], ids=["CSV", "NPZ"])
def test_a_missing_file_is_named_in_full(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        make("no/data").load(0)
    assert str(caught.value) == f"{tmp_path}/no/data: no such file. A relative path is relative to the config's folder."
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)|is a folder"):
        make(str(tmp_path)).load(0)
