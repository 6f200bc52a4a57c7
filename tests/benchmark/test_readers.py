"""Every format of predictions, and what must be refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.benchmark.given_labels import GivenLabels, load_given_labels
from auditor.benchmark.readers.registry import READERS, read_predictions
from auditor.core.errors import AuditorError, DataError, LabelError, ProbabilityError
from tests.benchmark.conftest import K, write_top

N = 30
RNG = np.random.default_rng(7)
TOP = RNG.integers(0, K, N)
PROBS = np.full((N, K), 0.1) + 0.6 * np.eye(K)[TOP]


def given_labels(names: tuple[str, ...] | None = None, classes: tuple[str, ...] | None = None) -> GivenLabels:
    return GivenLabels(np.arange(N) % K, "the labels", classes, names)


def write(folder: Path, name: str) -> None:
    """The same predictions in each format."""
    ids, order = [f"img/{k:03d}.png" for k in range(N)], RNG.permutation(N)
    if name == "top-k":
        write_top(folder, "m", TOP, RNG)
    elif name == "npy":
        np.save(folder / "m.npy", PROBS.astype(np.float16))
    elif name == "npz":
        np.savez(folder / "m.npz", pred_probs=PROBS[order], ids=np.array(ids)[order])
    else:
        rows = pa.table({"id": [ids[k] for k in order], "label": TOP[order]})
        pq.write_table(rows, folder / "m.parquet")


@pytest.mark.parametrize("name", READERS.names())
def test_every_format_gives_the_same(name: str, tmp_path: Path) -> None:
    write(tmp_path, name)
    (tmp_path / "README.md").write_text("about")
    np.save(tmp_path / "labels.npy", TOP)
    (one,) = read_predictions(tmp_path, given_labels(tuple(f"img/{k:03d}.png" for k in range(N))))
    assert (one.name, one.top1.dtype, one.top1.tolist()) == ("m", np.int64, TOP.tolist())


@pytest.mark.parametrize("name", READERS.names())
def test_every_format_refuses_another_length(name: str, tmp_path: Path) -> None:
    write(tmp_path, name)
    with pytest.raises(DataError):
        read_predictions(tmp_path, GivenLabels(np.arange(N + 1) % K, "longer", None, None))


def test_columns_in_any_order_and_not_column_0(tmp_path: Path) -> None:
    write_top(tmp_path, "m", TOP, RNG)
    (one,) = read_predictions(tmp_path, given_labels())
    stored = np.load(tmp_path / "m_top3preds.npy")
    assert one.top1.tolist() == TOP.tolist() != stored[:, 0].tolist()
    assert one.top is not None
    assert np.array_equal(np.sort(one.top), np.sort(stored))


def test_ties_take_the_first_maximum(tmp_path: Path) -> None:
    np.save(tmp_path / "m_top2preds.npy", np.tile([3, 1], (N, 1)))
    np.save(tmp_path / "m_top2probs.npy", np.full((N, 2), 0.5, np.float16))
    assert set(read_predictions(tmp_path, given_labels())[0].top1.tolist()) == {3}


def test_a_pair_of_one_model_in_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "keras_vgg").mkdir()
    write_top(tmp_path / "keras_vgg", "x", TOP, RNG)
    for old, new in (("x_top3preds.npy", "preds.npy"), ("x_top3probs.npy", "probs.npy")):
        (tmp_path / "keras_vgg" / old).rename(tmp_path / "keras_vgg" / new)
    assert [p.name for p in read_predictions(tmp_path, given_labels())] == ["keras_vgg"]


def test_one_file_is_enough(tmp_path: Path) -> None:
    write_top(tmp_path, "m", TOP, RNG)
    write_top(tmp_path, "other", TOP, RNG)
    assert [p.name for p in read_predictions(tmp_path / "m_top3preds.npy", given_labels())] == ["m"]


def test_one_name_on_two_platforms(tmp_path: Path) -> None:
    for platform in ("keras", "pytorch"):
        (tmp_path / platform).mkdir()
        write_top(tmp_path / platform, "resnet50", TOP, RNG)
    write_top(tmp_path, "vgg", TOP, RNG)
    names = {p.name for p in read_predictions(tmp_path, given_labels())}
    assert names == {"vgg", "keras/resnet50", "pytorch/resnet50"}


def test_one_name_twice_in_a_folder_is_refused(tmp_path: Path) -> None:
    write_top(tmp_path, "m", TOP, RNG)
    np.save(tmp_path / "m_probs.npy", PROBS)
    with pytest.raises(DataError, match="'m' occurs twice"):
        read_predictions(tmp_path, given_labels())


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    write_top(tmp_path, "m", TOP, RNG)
    probs = tmp_path / "m_top3probs.npy"
    saved = probs.read_bytes()
    probs.unlink()
    with pytest.raises(DataError, match="no file of probabilities"):
        read_predictions(tmp_path, given_labels())
    probs.write_bytes(saved)
    (tmp_path / "m_top3preds.npy").unlink()
    with pytest.raises(DataError, match="no file of classes"):
        read_predictions(tmp_path, given_labels())


def test_top_k_probabilities_are_not_taken_for_all_classes(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", PROBS[:, :3])
    with pytest.raises(ProbabilityError, match="3 columns, the labels have 4 classes"):
        read_predictions(tmp_path, given_labels())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(bad: float, tmp_path: Path) -> None:
    probs = PROBS.copy()
    probs[5, 2] = bad
    np.save(tmp_path / "m.npy", probs)
    with pytest.raises(ProbabilityError, match="row 5"):
        read_predictions(tmp_path, given_labels())


def test_pairs_with_nan_or_odd_shapes_are_refused(tmp_path: Path) -> None:
    write_top(tmp_path, "m", TOP, RNG)
    path = tmp_path / "m_top3probs.npy"
    probs = np.load(path)
    probs[2, 0] = np.nan
    np.save(path, probs)
    with pytest.raises(ProbabilityError, match="row 2"):
        read_predictions(tmp_path, given_labels())
    np.save(path, probs[:, :2])
    with pytest.raises(DataError, match="shape"):
        read_predictions(tmp_path, given_labels())


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def rows(ids: list[object], labels: list[object], head: str = "id,label") -> str:
    return "\n".join([head, *(f"{i},{v}" for i, v in zip(ids, labels, strict=True))]) + "\n"


def test_tables_by_row_number_name_and_class_name(tmp_path: Path) -> None:
    classes = ("ant", "bee", "cat", "dog")
    order = RNG.permutation(N).tolist()
    table(tmp_path / "a.csv", rows(order, [int(TOP[k]) for k in order]))
    table(
        tmp_path / "b.csv", rows([f"{k:03d}.png" for k in order], [classes[TOP[k]] for k in order], "file,prediction")
    )
    names = tuple(f"img/{k:03d}.png" for k in range(N))
    for one in read_predictions(tmp_path, given_labels(names, classes)):
        assert one.top1.tolist() == TOP.tolist(), one.name


def test_a_table_of_several_models_and_one_of_probabilities(tmp_path: Path) -> None:
    long = ["model,id,label", *(f"{m},{k},{TOP[k] if m == 'x' else 0}" for k in range(N) for m in ("x", "y"))]
    table(tmp_path / "all.csv", "\n".join(long) + "\n")
    wide = ["id,dog,ant,cat,bee", *(f"{k},{p[3]},{p[0]},{p[2]},{p[1]}" for k, p in enumerate(PROBS))]
    table(tmp_path / "wide.csv", "\n".join(wide) + "\n")
    found = {
        p.name: p.top1.tolist() for p in read_predictions(tmp_path, given_labels(None, ("ant", "bee", "cat", "dog")))
    }
    assert found == {"x": TOP.tolist(), "y": [0] * N, "wide": TOP.tolist()}


@pytest.mark.parametrize(
    ("ids", "labels", "message"),
    [
        ([*range(N - 1), 0], TOP.tolist(), "more than once"),
        (list(range(N - 1)), TOP[:-1].tolist(), "29 of 30 rows"),
        (list(range(1, N + 1)), TOP.tolist(), "rows are 0 to 29"),
        ([f"x{k}" for k in range(N)], TOP.tolist(), "not known what the rows are called"),
        (list(range(N)), [*TOP[:-1].tolist(), "lynx"], "no class number"),
        (list(range(N)), [*TOP[:-1].tolist(), 1.5], "1.5"),
        (list(range(N)), [*TOP[:-1].tolist(), -2], "label -2 in row 29 is outside"),
        (list(range(N)), [*TOP[:-1].tolist(), -1], "the label of row 29 is missing"),
    ],
)
def test_wrong_tables_are_refused(ids: list[object], labels: list[object], message: str, tmp_path: Path) -> None:
    table(tmp_path / "m.csv", rows(ids, labels))
    with pytest.raises(AuditorError, match=message):
        read_predictions(tmp_path, given_labels())


def test_nan_in_a_table_of_labels_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": range(N), "label": [*TOP[:-1].astype(float), float("nan")]}), tmp_path / "m.parquet")
    with pytest.raises(LabelError, match="row 29"):
        read_predictions(tmp_path, given_labels())


def test_ids_that_are_file_numbers(tmp_path: Path) -> None:
    """Rows follow sorted paths, the numbers in the names do not."""
    numbers = RNG.permutation(N) + 1
    names = [f"val/n{k // 10}/ILSVRC2012_val_{n:08d}.JPEG" for k, n in enumerate(numbers)]
    (tmp_path / "index.json").write_text(json.dumps(names))
    np.save(tmp_path / "labels.npy", np.arange(N) % K)
    opened = load_given_labels(tmp_path / "labels.npy", tmp_path / "index.json")
    (tmp_path / "p").mkdir()
    order = RNG.permutation(N)
    table(tmp_path / "p" / "m.csv", rows([int(numbers[k]) for k in order], [int(TOP[k]) for k in order]))
    short = [f"ILSVRC2012_val_{n:08d}" for n in numbers[order]]
    table(tmp_path / "p" / "n.csv", rows(short, [int(TOP[k]) for k in order]))
    for one in read_predictions(tmp_path / "p", opened):
        assert one.top1.tolist() == TOP.tolist(), one.name
    table(tmp_path / "p" / "rows.csv", rows(list(range(N)), TOP.tolist()))
    assert [p.top1.tolist() for p in read_predictions(tmp_path / "p" / "rows.csv", opened)] == [TOP.tolist()]


def test_names_of_several_rows_and_of_other_folders_are_refused(tmp_path: Path) -> None:
    names = tuple(f"{'pos' if k < N // 2 else 'neg'}/{k % (N // 2)}_7.txt" for k in range(N))
    table(tmp_path / "m.csv", rows([f"test/{n.removesuffix('.txt')}" for n in names], TOP.tolist()))
    (one,) = read_predictions(tmp_path, given_labels(names))
    assert one.top1.tolist() == TOP.tolist()
    assert one.notes == ("ids were matched without the 'test/' in front of all of them",)
    mixed = [f"{'train' if k % 2 else 'test'}/{n}" for k, n in enumerate(names)]
    table(tmp_path / "m.csv", rows(mixed, TOP.tolist()))
    with pytest.raises(DataError, match=r"'test/pos/0_7\.txt' is not among the names"):
        read_predictions(tmp_path, given_labels(names))
    table(tmp_path / "m.csv", rows([n.split("/")[1] for n in names], TOP.tolist()))
    with pytest.raises(DataError, match="name of 2 rows"):
        read_predictions(tmp_path, given_labels(names))
    table(tmp_path / "m.csv", rows([n.replace("pos", "mid") for n in names], TOP.tolist()))
    with pytest.raises(DataError, match="not among the names"):
        read_predictions(tmp_path, given_labels(names))


def test_ids_of_our_own_networks(tmp_path: Path) -> None:
    order = RNG.permutation(N)
    np.savez(tmp_path / "net__seed0.npz", pred_probs=PROBS[order], ids=np.array([f"test/{k}" for k in order]))
    assert read_predictions(tmp_path, given_labels())[0].top1.tolist() == TOP.tolist()


def test_columns_named_in_another_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", pred_probs=PROBS[:, ::-1], class_names=np.array(["d", "c", "b", "a"]))
    assert read_predictions(tmp_path, given_labels(None, ("a", "b", "c", "d")))[0].top1.tolist() == TOP.tolist()


def test_an_empty_folder_says_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no stored predictions") as caught:
        read_predictions(tmp_path, given_labels())
    assert "topKpreds" in str(caught.value.way_out)
    with pytest.raises(AuditorError, match="no predictions at"):
        read_predictions(tmp_path / "nowhere", given_labels())


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([{"a": 1}] * N, dtype=object), allow_pickle=True)
    with pytest.raises(AuditorError, match="objects"):
        read_predictions(tmp_path, given_labels())
