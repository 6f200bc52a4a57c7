from __future__ import annotations

import numpy as np

from auditor.core.hashing import hash_array, hash_json, hash_strings
from auditor.core.seeds import derive_seed, generator


def test_array_hash_sees_values_shape_and_type_but_not_memory_order() -> None:
    a = np.arange(12, dtype=np.int64).reshape(3, 4)
    assert hash_array(a) == hash_array(np.asfortranarray(a)) == hash_array(a.copy()[:, :])
    assert hash_array(a) != hash_array(a.reshape(4, 3))
    assert hash_array(a) != hash_array(a.astype(np.int32))
    b = a.copy()
    b[2, 3] += 1
    assert hash_array(a) != hash_array(b)
    assert hash_array(np.float64(3)) == hash_array(np.array(3.0))


def test_string_hash_keeps_boundaries() -> None:
    assert hash_strings(["ab", "c"]) != hash_strings(["a", "bc"])


def test_json_hash_ignores_key_order() -> None:
    assert hash_json({"a": 1, "b": [2]}) == hash_json({"b": [2], "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": "1"})


def test_seeds_depend_on_path_only() -> None:
    assert derive_seed(0, "fold", 1) == derive_seed(0, "fold", 1)
    assert len({derive_seed(0, "fold", k) for k in range(100)}) == 100
    assert derive_seed(0, "a", "b") != derive_seed(0, "ab")
    assert generator(1, "x").integers(1 << 30) == generator(1, "x").integers(1 << 30)
