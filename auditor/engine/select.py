"""The k-th smallest of some values, in compiled code."""

from __future__ import annotations

import numba
import numpy as np


# Numba's own np.partition compiles eight functions, a sort and np.unique among them, for each type of value: a third
# of what a first call of the engine had to compile.
@numba.njit(nogil=True, cache=True)
def kth_smallest(values, k):  # type: ignore[no-untyped-def]
    """``numpy.partition(values, k)[k]`` of a 1-D array without NaN, 0 <= k < len(values); `values` stays as it is.

    Hoare's selection, O(n) expected: the pivot is drawn from a fixed sequence, so that no order of the values,
    sorted ones included, is a bad one by itself.
    """
    work = np.empty(len(values), values.dtype)
    for i in range(len(values)):
        work[i] = values[i]
    low, high = 0, len(work) - 1
    state = np.uint64(len(work))
    while low < high:
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        pivot = work[low + np.int64((state >> np.uint64(33)) % np.uint64(high - low + 1))]
        i, j = low, high
        while i <= j:
            while work[i] < pivot:
                i += 1
            while pivot < work[j]:
                j -= 1
            if i <= j:
                work[i], work[j] = work[j], work[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return work[k]
