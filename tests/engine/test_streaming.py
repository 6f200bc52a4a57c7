"""The same answer for any chunk size, thread count, storage and starting guess."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from auditor.core.errors import MissingExtraError, ProbabilityError, UnreadableError, UnsafeFileError
from auditor.engine import api
from auditor.engine.mixture import MixtureSource, normalised
from auditor.engine.sources import as_source
from tests.parity.problems import make_problem

N = 900


@pytest.fixture(scope="module")
def problem():
    return make_problem(5, N, 12, "float32", 2)


def everything(analysis) -> dict[str, np.ndarray]:
    """All outputs of an analysis."""
    out = {
        name: getattr(analysis, name)
        for name in (
            "labels",
            "class_counts",
            "thresholds",
            "confident_joint",
            "calibrated_joint",
            "self_confidence",
            "largest_other",
            "predicted",
            "candidates",
            "off_diagonal",
        )
    }
    out |= {rule: api.flag(analysis, rule) for rule in api.RULES}
    out |= {score: api.scores(analysis, score) for score in api.SCORES}
    out |= {f"adjusted {s}": api.scores(analysis, s, adjusted=True) for s in api.SCORES[:2]}
    return out


def assert_same(ours: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, value in expected.items():
        assert ours[name].dtype == value.dtype, name
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


@pytest.fixture(scope="module")
def expected(problem):
    return everything(api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None))


@pytest.mark.parametrize("chunk_rows", [1, 7, N // 2, N, N + 100])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_chunks_and_threads(problem, expected, chunk_rows: int, threads: int) -> None:
    analysis = api.analyze(
        problem.probabilities, problem.labels, row_sum_tolerance=None, chunk_rows=chunk_rows, threads=threads
    )
    assert_same(everything(analysis), expected)


@pytest.mark.parametrize(("tau", "reads"), [(1e-7, 1), (0.02, 1), (0.999, 2)])
def test_starting_guess(problem, expected, tau: float, reads: int) -> None:
    """So low that every entry is stored, and so high that the rows must be read again."""
    analysis = api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None, tau=tau)
    assert analysis.reads == reads
    assert_same(everything(analysis), expected)


@pytest.mark.parametrize("order", ["fortran", "strided", "reversed", "big-endian", "list"])
def test_memory_layouts(problem, expected, order: str) -> None:
    p = problem.probabilities
    given = {
        "fortran": np.asfortranarray(p),
        "strided": np.repeat(p, 2, axis=1)[:, ::2],
        "reversed": np.ascontiguousarray(p[::-1])[::-1],
        "big-endian": p.astype(">f4"),
        "list": p.tolist(),
    }[order]
    analysis = api.analyze(given, problem.labels.tolist(), row_sum_tolerance=None)
    if order == "list":
        expected = everything(api.analyze(p.astype(np.float64), problem.labels, row_sum_tolerance=None))
    assert_same(everything(analysis), expected)


def _store(kind: str, folder: Path, p: np.ndarray) -> str:
    if kind == "npy":
        np.save(folder / "p.npy", p)
        return str(folder / "p.npy")
    if kind == "npy fortran":
        np.save(folder / "f.npy", np.asfortranarray(p))
        return str(folder / "f.npy")
    if kind in {"npz", "npz compressed"}:
        path = folder / "p.npz"
        (np.savez if kind == "npz" else np.savez_compressed)(path, labels=np.zeros(3), pred_probs=p)
        return str(path)
    if kind == "uri":
        np.save(folder / "u.npy", p)
        pytest.importorskip("fsspec")
        return f"file://{folder / 'u.npy'}"
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        array = zarr.create_array(store=str(folder / "p.zarr"), shape=p.shape, chunks=(130, p.shape[1]), dtype=p.dtype)
        array[:] = p
        return str(folder / "p.zarr")
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = folder / "parts"
    target.mkdir()
    for part, (a, b) in enumerate([(0, 333), (333, 640), (640, len(p))]):
        if kind == "parquet lists":
            table = pa.table({"pred_probs": pa.array(list(p[a:b]))})
        else:
            table = pa.table({f"c{j:02}": p[a:b, j] for j in range(p.shape[1])})
        pq.write_table(table, target / f"part-{part}.parquet", row_group_size=100)
    return str(target)


KINDS = ["npy", "npy fortran", "npz", "npz compressed", "uri", "zarr", "parquet columns", "parquet lists"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk_rows", [None, 37])
def test_storages(problem, expected, tmp_path: Path, kind: str, chunk_rows: int | None) -> None:
    source = api.open_probabilities(_store(kind, tmp_path, problem.probabilities))
    assert source.shape == problem.probabilities.shape
    analysis = api.analyze(source, problem.labels, row_sum_tolerance=None, chunk_rows=chunk_rows)
    assert_same(everything(analysis), expected)


def test_memory_map(problem, expected, tmp_path: Path) -> None:
    mapped = np.load(_store("npy", tmp_path, problem.probabilities), mmap_mode="r")
    assert_same(everything(api.analyze(mapped, problem.labels, row_sum_tolerance=None)), expected)


def test_float16_file_equals_float32_copy(tmp_path: Path) -> None:
    problem = make_problem(8, 700, 70, "float16")
    np.save(tmp_path / "h.npy", problem.probabilities)
    source = api.open_probabilities(tmp_path / "h.npy")
    ours = everything(api.analyze(source, problem.labels, chunk_rows=50))
    assert_same(ours, everything(api.analyze(problem.reference, problem.labels)))


def test_all_halves_convert_exactly() -> None:
    from auditor.engine.kernels import half_to_float

    halves = np.arange(1 << 16, dtype=np.uint16)[None]
    bits = np.empty(halves.shape, np.uint32)
    half_to_float(halves, bits)
    floats = halves.view(np.float16).astype(np.float32)
    finite = np.isfinite(floats)
    np.testing.assert_array_equal(bits.view(np.float32)[finite], floats[finite])
    assert (np.abs(bits.view(np.float32)[~finite]) >= 65536).all()  # outside [0, 1], so refused


def test_files_are_read_by_several_threads(tmp_path: Path) -> None:
    """Reading overlaps computing: more than one thread reads."""
    problem = make_problem(1, 4000, 20, "float32")
    seen: set[str] = set()

    class Watched:
        name, in_memory = "watched", False
        shape, dtype = problem.probabilities.shape, problem.probabilities.dtype

        def read(self, start: int, stop: int) -> np.ndarray:
            if threading.current_thread() is not threading.main_thread():
                seen.add(threading.current_thread().name)
                threading.Event().wait(0.01)
            return problem.probabilities[start:stop]

    api.analyze(Watched(), problem.labels, chunk_rows=200, threads=2)
    assert len(seen) >= 2


def test_mixture_is_the_weighted_mean() -> None:
    a, b = (make_problem(s, 300, 5, "float32").probabilities for s in (1, 2))
    labels = make_problem(1, 300, 5, "float32").labels
    mixed = MixtureSource([as_source(a), as_source(b)], [0.25, 0.75])
    plain = 0.25 * normalised(a) + 0.75 * normalised(b)
    assert_same(everything(api.analyze(mixed, labels, chunk_rows=11)), everything(api.analyze(plain, labels)))
    with pytest.raises(ProbabilityError, match="differ in shape"):
        MixtureSource([as_source(a), as_source(b[:5])], [0.5, 0.5])


def test_bad_files(tmp_path: Path) -> None:
    whole = tmp_path / "p.npy"
    np.save(whole, np.full((50, 4), 0.25))
    cut = tmp_path / "cut.npy"
    cut.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(UnreadableError, match="cut off"):
        api.open_probabilities(cut)
    np.save(tmp_path / "o.npy", np.array([[1, "a"]], dtype=object), allow_pickle=True)
    with pytest.raises(UnsafeFileError):
        api.open_probabilities(tmp_path / "o.npy")
    (tmp_path / "pickle.npy").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(UnsafeFileError):
        api.open_probabilities(tmp_path / "pickle.npy")
    np.savez(tmp_path / "x.npz", other=np.zeros(2))
    with pytest.raises(ProbabilityError, match="no array"):
        api.open_probabilities(tmp_path / "x.npz")
    with pytest.raises(UnreadableError, match="cannot tell"):
        api.open_probabilities(tmp_path / "x.dat")
    with pytest.raises(UnreadableError):
        api.open_probabilities(tmp_path / "absent.npy")
    with pytest.raises((UnreadableError, MissingExtraError)):
        api.open_probabilities(tmp_path / "absent.zarr")


@pytest.mark.parametrize("decimals", [None, 1, 2])
def test_second_read_in_many_small_batches(decimals: int | None, monkeypatch) -> None:
    """With a floor above every probability each pair is read again, one or two pairs at a time."""
    from auditor.engine import analysis, pairs

    problem = make_problem(7, 500, 8, "float32", decimals)
    expected = api.flag(api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None))
    assert expected.any()
    monkeypatch.setattr(analysis, "RIVAL_FLOOR", 2.0)
    monkeypatch.setattr(pairs, "GATHER_BYTES", 1500)
    for chunk_rows in (None, 13):
        ours = api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None, chunk_rows=chunk_rows)
        np.testing.assert_array_equal(api.flag(ours), expected)
