"""What is in memory, as data sets: every form, its content, what it is called, and what a run keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_digits, load_iris
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset

from auditor.core.config import Settings
from auditor.core.errors import (
    AuditorError,
    DataError,
    LabelError,
    MemoryGuardError,
    MissingRoleError,
    UnreadableError,
    UsageError,
)
from auditor.data import held, kinds
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.data.open import open_dataset
from auditor.data.stored import STORED, reference_in, write_stored
from auditor.runs import layout

N = 24
RANDOM = np.random.default_rng(0)
Y = np.array(["cat", "dog"])[np.arange(N) % 2]
CODES = torch.from_numpy(np.arange(N) % 2)
NUMBERS = RANDOM.normal(size=(N, 3))
PIXELS = RANDOM.integers(0, 256, (N, 7, 5, 3), dtype=np.uint8)
PICTURES = [Image.fromarray(pixels) for pixels in PIXELS]
TEXTS = [f"no. {k}" for k in range(N)]
FRAME = pd.DataFrame(NUMBERS, columns=["u", "v", "w"]).assign(kind=list("pq") * (N // 2), label=Y)
IMAGE_FEATURES = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})


class Capsule:
    """A frame that says no more of itself than polars does: Arrow's stream, texts as views."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        table = pa.table(FRAME)
        table = table.set_column(4, "label", table.column("label").cast(pa.string_view()))
        return table.__arrow_c_stream__(requested_schema)


class Items(torch.utils.data.Dataset):
    """A torch data set of anything."""

    def __init__(self, item: Callable[[int], Any]) -> None:
        self.item = item

    def __len__(self) -> int:
        return N

    def __getitem__(self, k: int) -> Any:
        return self.item(k)


def hub_images() -> datasets.Dataset:
    return datasets.Dataset.from_dict({"image": PICTURES, "label": CODES.tolist()}, features=IMAGE_FEATURES)


def fingerprints(forms: dict[str, Any]) -> set[str]:
    """Fingerprints of the same data in several forms."""
    return {open_dataset(form).fingerprint for form in forms.values()}


def test_frames_are_one_data_set_whoever_made_them(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "x.parquet")
    forms = {
        "pandas": FRAME,
        "index": FRAME.set_index(np.arange(100, 100 + N)),
        "categories": FRAME.astype({"kind": "category", "label": "category"}),
        "arrow": pa.table(FRAME),
        "batch": pa.RecordBatch.from_pandas(FRAME),
        "capsule": Capsule(),
        "dict": {name: FRAME[name].tolist() for name in FRAME},
        "rows": FRAME.to_dict("records"),
        "hub": datasets.Dataset.from_pandas(FRAME),
        "X, y": (FRAME.drop(columns="label"), FRAME["label"]),
        "file": tmp_path / "x.parquet",
    }
    data = open_dataset(FRAME)
    assert isinstance(data, TableDataset)
    assert data.reference == "memory:DataFrame?label=label"
    assert data.class_names == ("cat", "dog")
    assert fingerprints(forms) == {data.fingerprint}
    changed = FRAME.copy()
    changed.loc[3, "u"] += 1
    assert open_dataset(changed).fingerprint != data.fingerprint


def test_polars_frames_where_polars_is_here() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(FRAME)
    assert fingerprints({"frame": frame, "X, y": (frame.drop("label"), frame["label"])}) == fingerprints({"": FRAME})
    with pytest.raises(UsageError, match="collect"):
        open_dataset(frame.lazy())


def test_matrices_are_one_data_set() -> None:
    forms = {
        "array": (NUMBERS, Y),
        "lists": (NUMBERS.tolist(), Y.tolist()),
        "tensor": (torch.from_numpy(NUMBERS), Y),
        "csr": (scipy.sparse.csr_matrix(NUMBERS), Y),
        "coo": (scipy.sparse.coo_array(NUMBERS), pd.Series(Y)),
        "column": (NUMBERS, Y[:, None]),
        "items": Items(lambda k: (NUMBERS[k], Y[k])),
        "dicts": Items(lambda k: {"x": torch.from_numpy(NUMBERS[k]), "label": Y[k]}),
    }
    assert len(fingerprints(forms)) == 1
    assert open_dataset((NUMBERS, Y)).item(2) == {f"x{k}": NUMBERS[2, k] for k in range(3)}
    assert fingerprints({"tensors": TensorDataset(torch.from_numpy(NUMBERS), CODES)}) == fingerprints(
        {"": (NUMBERS, CODES.numpy())}
    )


def test_texts_are_one_data_set_however_short() -> None:
    forms = {
        "list": (TEXTS, Y),
        "array": (np.array(TEXTS), Y),
        "objects": (np.array(TEXTS, dtype=object), Y.tolist()),
        "series": (pd.Series(TEXTS, name="remark"), Y),
        "dict": {"text": TEXTS, "label": Y},
        "items": Items(lambda k: (TEXTS[k], Y[k])),
        "dicts": Items(lambda k: {"text": TEXTS[k], "label": Y[k]}),
    }
    data = {name: open_dataset(form, text="text" if name == "dict" else None) for name, form in forms.items()}
    assert all(isinstance(one, TextDataset) for one in data.values())
    assert len({one.fingerprint for one in data.values()}) == 1


def test_pictures_are_one_data_set_whatever_their_layout(tmp_path: Path) -> None:
    first = np.moveaxis(PIXELS, 3, 1)
    forms = {
        "array": (PIXELS, Y),
        "floats": (PIXELS / 255, Y),
        "large floats": (PIXELS.astype(np.float32), Y),
        "first": (first, Y),
        "tensor": (torch.from_numpy(first.copy()).float() / 255, Y),
        "pil": (PICTURES, Y),
        "objects": (np.array([*PICTURES, None], dtype=object)[:-1], Y),
        "arrays": (list(PIXELS), Y),
        "frame": pd.DataFrame({"photo": PICTURES, "label": Y}),
        "dict": {"photo": PIXELS, "label": Y},
        "items": Items(lambda k: (PICTURES[k], Y[k])),
        "tensors": Items(lambda k: {"photo": torch.from_numpy(first[k].copy()), "label": Y[k]}),
        "hub": hub_images(),
        "joined": ConcatDataset([Items(lambda k: (PICTURES[k], Y[k]))]),
    }
    data = {name: open_dataset(form) for name, form in forms.items()}
    assert {name: type(one) for name, one in data.items()} == dict.fromkeys(forms, ImageDataset)
    assert len({one.fingerprint for one in data.values()}) == 1
    np.testing.assert_array_equal(np.asarray(data["tensor"].item(3)), PIXELS[3])
    # Nothing was copied: what is held is the array itself.
    assert np.shares_memory(data["array"].source.get(2), PIXELS)
    assert data["array"].source.in_memory


def test_grey_and_transparent_arrays_are_pictures() -> None:
    grey = open_dataset((PIXELS[..., 0], Y))
    np.testing.assert_array_equal(np.asarray(grey.item(1)), np.repeat(PIXELS[1, ..., :1], 3, axis=2))
    clear = np.concatenate([PIXELS, np.zeros_like(PIXELS[..., :1])], axis=3)
    assert (np.asarray(open_dataset((clear, Y)).item(1)) == 255).all()  # transparency is laid over white
    digits = open_dataset(load_digits())
    assert digits.class_names == tuple("0123456789")
    assert any("0 to 16" in note for note in digits.notes)


def test_arrays_that_are_no_pictures_are_features() -> None:
    series = RANDOM.normal(size=(N, 4, 6))
    data = open_dataset((series, Y))
    assert isinstance(data, TableDataset)
    assert data.frame.shape == (N, 24)
    assert any("4x6" in note for note in data.notes)
    np.testing.assert_array_equal(data.frame.to_numpy(), series.reshape(N, -1))
    assert open_dataset((list(series), Y)).fingerprint == data.fingerprint
    assert open_dataset((RANDOM.normal(size=(N, 2, 3, 2, 2)), Y)).frame.shape == (N, 24)


def test_class_names_come_with_the_data_or_the_call() -> None:
    assert open_dataset(load_iris()).class_names == ("setosa", "versicolor", "virginica")
    assert open_dataset(load_iris(as_frame=True)).frame.columns[0] == "sepal length (cm)"
    assert open_dataset((NUMBERS, CODES), classes=["a, b", "c"]).class_names == ("a, b", "c")
    assert open_dataset(hub_images().select(range(3, 20))).class_names == ("cat", "dog")


def test_roles_are_names_or_values() -> None:
    groups = np.arange(N) // 4
    data = open_dataset(FRAME, id=[f"item {k}" for k in range(N)], group=groups, columns=["u", "kind"])
    assert data.ids[3] == "item 3"
    assert data.items.groups.tolist() == groups.astype(str).tolist()
    assert list(data.frame.columns) == ["u", "kind"]
    assert open_dataset(NUMBERS, label=Y).fingerprint == open_dataset((NUMBERS, Y)).fingerprint
    named = FRAME.rename(columns={"label": 7})
    assert open_dataset(named, label=7).fingerprint == open_dataset(FRAME).fingerprint
    with pytest.raises(UsageError, match="'labl'"):
        open_dataset(FRAME, labl="x")
    with pytest.raises(UsageError, match="no column 'kin'"):
        open_dataset(FRAME, group="kin")


def test_splits_come_as_a_dict(tmp_path: Path) -> None:
    halves = {"train": FRAME[:16], "test": FRAME[16:]}
    data = open_dataset(halves)
    assert data.ids[[0, -1]].tolist() == ["train/0", f"test/{N - 17}"]
    hub = datasets.DatasetDict({name: datasets.Dataset.from_pandas(half) for name, half in halves.items()})
    hub = hub.remove_columns([c for c in hub["test"].column_names if c.startswith("__")])
    pairs = {name: (half.drop(columns="label"), half["label"]) for name, half in halves.items()}
    assert fingerprints({"hub": hub, "pairs": pairs}) == {data.fingerprint}
    assert len(open_dataset(halves, split="test")) == N - 16
    for name, half in halves.items():
        half.to_csv(tmp_path / f"{name}.csv", index=False)
    assert open_dataset(tmp_path).fingerprint == data.fingerprint


def test_saved_hub_data_sets_open_by_their_path(tmp_path: Path) -> None:
    one = hub_images()
    one.save_to_disk(tmp_path / "one")
    both = datasets.DatasetDict(train=one.select(range(14)), test=one.select(range(14, N)))
    both.save_to_disk(tmp_path / "both")
    for held_data, folder in ((one, "one"), (both, "both")):
        data = open_dataset(tmp_path / folder)
        assert data.reference == f"hf://{tmp_path / folder}"
        assert data.fingerprint == open_dataset(held_data).fingerprint
    (tmp_path / "both" / "test" / "state.json").write_text("{}")
    with pytest.raises(UnreadableError, match="both"):
        open_dataset(tmp_path / "both")


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    for k, picture in enumerate(PICTURES):
        path = tmp_path / "photos" / Y[k] / f"{k:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return tmp_path / "photos"


def test_torchvision_sets_are_audited_as_they_are_stored(photo_folder: Path) -> None:
    random = torchvision.transforms.Compose([torchvision.transforms.RandomCrop(4), torchvision.transforms.ToTensor()])
    folder = torchvision.datasets.ImageFolder(photo_folder, transform=random)
    data = open_dataset(folder)
    assert data.reference.startswith("memory:ImageFolder")
    assert data.class_names == ("cat", "dog")
    assert any("transforms" in note for note in data.notes)
    assert data.content_hashes.tolist() == open_dataset(photo_folder).content_hashes.tolist()
    part = open_dataset(Subset(folder, [1, 20, 3]))
    assert part.content_hashes.tolist() == data.content_hashes[[1, 20, 3]].tolist()
    assert part.class_names == ("cat", "dog")
    fake = torchvision.datasets.FakeData(12, (3, 6, 6), 2, transform=torchvision.transforms.ToTensor())
    assert open_dataset(fake).load_images()[0].shape == (12, 6, 6, 3)
    turned = torchvision.datasets.FakeData(12, (3, 6, 6), 2, random, target_transform=lambda label: 5 + label)
    assert open_dataset(turned).class_names == ("5", "6")
    mnist = torchvision.datasets.MNIST.__new__(torchvision.datasets.MNIST)
    mnist.data, mnist.targets = torch.from_numpy(PIXELS[..., 0]), CODES
    mnist.transform = mnist.target_transform = mnist.transforms = None
    digits = open_dataset(mnist)
    assert digits.class_names[:2] == ("0 - zero", "1 - one")
    assert np.shares_memory(mnist.data.numpy(), PIXELS)
    np.testing.assert_array_equal(np.asarray(digits.item(4))[..., 0], PIXELS[4, ..., 0])


REFUSED: dict[str, tuple[Callable[[], Any], type[AuditorError], str]] = {
    "no labels": (lambda: NUMBERS, UsageError, r"Give \(X, y\)"),
    "a number": (lambda: 3, UsageError, "no data set"),
    "a loader": (lambda: DataLoader(Items(lambda k: (TEXTS[k], 0))), UsageError, r"loader\.dataset"),
    "a stream": (lambda: hub_images().to_iterable_dataset(), UsageError, "no length"),
    "lengths": (lambda: (NUMBERS, Y[:5]), LabelError, "24 rows, y has 5"),
    "columns": (lambda: {"a": [1, 2, 3], "label": ["x", "y"]}, LabelError, "2 rows, the others have 3"),
    "one-hot": (lambda: (NUMBERS, np.eye(2)[CODES]), LabelError, "one label per row"),
    "mixed": (
        lambda: {"a": NUMBERS[:, 0], "label": [1, "x", 2.5] * 8},
        LabelError,
        "'label' holds values of the types",
    ),
    "twice": (lambda: pd.DataFrame(NUMBERS, columns=["u", "u", "label"]), UsageError, "two columns called 'u'"),
    "random": (
        lambda: Items(lambda k: (RANDOM.integers(0, 256, (5, 5, 3), dtype=np.uint8), 0)),
        DataError,
        "another picture each time",
    ),
    "no pairs": (lambda: Items(lambda k: TEXTS[k]), UsageError, "no pairs"),
    "ragged": (lambda: ([[1, 2], [3]] * 12, Y), DataError, "equal length"),
    "a set": (lambda: (NUMBERS, set(Y)), UsageError, "what belongs to which row"),
    "y read once": (lambda: (NUMBERS, iter(Y)), UsageError, "no length"),
    "a column read once": (
        lambda: {"u": iter(NUMBERS[:, 0]), "label": Y},
        UsageError,
        "'u' is of the type .*no length",
    ),
    "another order": (lambda: (FRAME[["u"]], FRAME["label"][::-1]), UsageError, "another order"),
    "tuples": (lambda: FRAME.assign(label=[("a", k) for k in range(len(FRAME))]), LabelError, "of the type tuple"),
    "two types": (lambda: FRAME.assign(label=["a", 1] * (len(FRAME) // 2)), LabelError, r"of the types str, int\.\n"),
    "row numbers": (
        lambda: (np.arange(N), [k >= 12 for k in range(N)]),
        MissingRoleError,
        "row numbers .*give it away",
    ),
    "no role": (lambda: FRAME.rename(columns={"label": "species"}), MissingRoleError, "label='species'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_data_set_says_why(case: str) -> None:
    make, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        open_dataset(make())


@pytest.mark.parametrize("role", ["label", "group", "id"])
def test_values_of_a_role_belong_to_the_rows_in_their_order(role: str) -> None:
    features, own = FRAME[["u"]], FRAME["label"] if role == "label" else pd.Series(range(len(FRAME)), FRAME.index)
    roles = {"label": Y} | {role: own}
    expected = open_dataset(features, **roles).fingerprint
    assert open_dataset(features, **roles | {role: own.set_axis(own.index + 1000)}).fingerprint == expected
    for values in (own[::-1], iter(own), set(own)):
        with pytest.raises(UsageError, match=r"another order|what belongs to which row"):
            open_dataset(features, **roles | {role: values})


SIZES = np.arange(24.0)
COLUMNS: dict[str, tuple[Callable[[], Any], dict[str, str]]] = {
    "object array": (
        lambda: np.array([["a", 1.0], ["b", 2.0]] * 12, dtype=object),
        {"x0": "category", "x1": "float64"},
    ),
    "lists of texts and numbers": (lambda: [["a", 1.0], ["b", 2.0]] * 12, {"x0": "category", "x1": "float64"}),
    "lists with gaps": (lambda: [[None, 1.0], [2.0, 2.0]] * 12, {"x0": "float64", "x1": "float64"}),
    "bfloat16 tensor": (lambda: torch.arange(48.0).reshape(24, 2).bfloat16(), {"x0": "float64", "x1": "float64"}),
    "sparse tensor": (lambda: torch.eye(24)[:, :2].to_sparse(), {"x0": "float64", "x1": "float64"}),
    "sparse column": (lambda: pd.DataFrame({"u": pd.arrays.SparseArray(SIZES)}), {"u": "float64"}),
    "intervals": (lambda: pd.DataFrame({"u": pd.cut(SIZES, 3)}), {"u": "category"}),
    "record array": (
        lambda: pd.DataFrame({"u": SIZES, "v": SIZES}).to_records(False),
        {"u": "float64", "v": "float64"},
    ),
    "names of two parts": (
        lambda: pd.DataFrame({("a", "x"): SIZES, ("a", "y"): SIZES}),
        {"('a', 'x')": "float64", "('a', 'y')": "float64"},
    ),
}


@pytest.mark.parametrize("form", COLUMNS)
def test_columns_of_less_usual_types(form: str) -> None:
    make, expected = COLUMNS[form]
    data = open_dataset((make(), Y))
    assert isinstance(data, TableDataset)
    assert data.frame.dtypes.astype(str).to_dict() == expected


@pytest.mark.parametrize(
    "labels",
    [pd.cut(SIZES, 2), pd.Series(pd.cut(SIZES, 2)), pd.array([0, 1] * 12, dtype="Int64")],
    ids=["cut", "series", "Int64"],
)
def test_labels_of_less_usual_types(labels: Any) -> None:
    data = open_dataset((NUMBERS, labels))
    assert data.class_names == tuple(map(str, sorted(set(labels))))
    named = pd.DataFrame({("u", "v"): NUMBERS[:, 0], ("k", "w"): np.asarray(labels.astype(str))})
    assert open_dataset(named, label=("k", "w")).class_names == data.class_names


def test_a_sparse_matrix_beyond_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "available_memory", lambda: 1000)
    with pytest.raises(MemoryGuardError, match=r"TruncatedSVD"):
        open_dataset((scipy.sparse.csr_matrix(NUMBERS), Y))


def test_broken_pictures_are_findings() -> None:
    pictures = [*PIXELS[:20].astype(float), np.full((7, 5, 3), np.nan), None, "x", PIXELS[3, 0, 0]]
    data = open_dataset((pictures, Y))
    bad = data.load_images()[1]
    assert [item.position for item in bad] == [20, 21, 22, 23]
    assert [item.reason.split()[0] for item in bad] == ["it", "there", "no", "an"]


FORMS: dict[str, Any] = {
    "table": FRAME.assign(u=FRAME["u"].where(FRAME.index != 2), kind=FRAME["kind"].where(FRAME.index != 5)),
    "texts": (TEXTS, Y),
    "pictures": (PIXELS, Y),
    "splits": {"train": (PICTURES[:10], Y[:10]), "test": (PICTURES[10:], Y[10:])},
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_run_keeps_is_the_same_data_set(form: str, tmp_path: Path, settings: Settings) -> None:
    data = open_dataset(FORMS[form])
    write_stored(data, tmp_path / STORED)
    reference = reference_in(data.reference, tmp_path)
    again = open_dataset(reference, settings)
    assert (again.reference, again.name, type(again)) == (f"{reference}?label=label", data.name, type(data))
    assert open_dataset(again.reference, settings).fingerprint == data.fingerprint
    assert again.fingerprint == data.fingerprint
    assert again.content_hashes.tolist() == data.content_hashes.tolist()
    assert again.items.index.tolist() == data.items.index.tolist()
    with pytest.raises(DataError, match="were in memory"):
        open_dataset(data.reference, settings)
    (tmp_path / STORED).unlink()
    with pytest.raises(UnreadableError, match="call find_errors with them again"):
        open_dataset(reference, settings)


def test_files_are_named_and_not_copied(photo_folder: Path, tmp_path: Path, settings: Settings) -> None:
    data: Dataset = open_dataset(torchvision.datasets.ImageFolder(photo_folder))
    write_stored(data, tmp_path / STORED)
    cells = pa.parquet.read_table(tmp_path / STORED).column("image").to_pylist()
    assert {cell["bytes"] for cell in cells} == {None}
    assert open_dataset(reference_in(data.reference, tmp_path), settings).fingerprint == data.fingerprint


def test_the_run_folder_knows_the_file() -> None:
    assert layout.DATA == STORED
    assert layout.WRITTEN.fullmatch(STORED)
    assert reference_in("csv:///x.csv", Path("/run")) == "csv:///x.csv"


def test_a_wide_table_is_hashed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = open_dataset(FORMS["table"]).content_hashes
    monkeypatch.setattr(kinds, "HASHED_VALUES", 9)  # two rows at a time
    assert open_dataset(FORMS["table"]).content_hashes.tolist() == whole.tolist()


def test_a_tensor_stays_at_hand_row_for_row() -> None:
    floats = torch.from_numpy(RANDOM.normal(size=(N, 3, 5, 5)))
    missing = [None if k == 4 else y for k, y in enumerate(Y)]
    halves = {"train": (floats[:9], Y[:9]), "test": (floats[9:], Y[9:])}
    forms = {"pair": ((floats, missing), np.arange(N) != 4), "splits": (halves, np.arange(N) >= 0)}
    forms["set"] = (TensorDataset(floats, CODES), np.arange(N) >= 0)
    for name, (form, rows) in forms.items():
        data = open_dataset(form)
        assert torch.equal(data.tensor, floats[rows]), name
        assert torch.equal(data.subset(np.array([7, 2])).tensor, floats[rows][[7, 2]])
    assert open_dataset(forms["set"][0]).tensor.data_ptr() == floats.data_ptr(), "not copied"
    assert [open_dataset(form).tensor for form in (FRAME, (NUMBERS, Y), (PIXELS, Y))] == [None] * 3
