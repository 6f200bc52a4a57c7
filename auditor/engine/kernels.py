"""The scan: numba kernels that read each row of probabilities once.

Probabilities are non-negative, and non-negative floats sort like their bit patterns. The kernels therefore take
all maxima on the unsigned view of the array: integer maxima vectorise without relaxed float rules, and one
comparison of the row maximum with the pattern of 1 + 1e-6 catches NaN, infinities, values above 1 and every
negative value (their patterns are larger). Rows it catches go the slow way, value by value.

All kernels release the GIL and write to disjoint outputs, so threads run them side by side.

What a kernel stores per row: the probability of the given label, the largest other one, the argmax, and whether
the row stays a candidate after the un-flag step. Two lists hold what single values cannot: *many* (rows with two
or more entries >= tau: all those entries) and *rivals* (candidates only: other entries above the given label's,
and above a floor). When a list might overflow the kernel stops at that row; the caller empties the lists and
calls again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np

from auditor.engine.semantics import EPSILON

#: Up to this many classes a row is held in registers and the kernel is compiled for the exact number.
SPECIALISE_MAX_CLASSES = 64
#: Columns per block above that: the block maximum decides whether the block is looked at again.
_BLOCK = 64

#: Slots of the kernels' state array: next row, entries in `many`, entries in `rivals`, kind of error (0 none,
#: 1 value, 2 row sum).
STATE_SIZE = 4


@numba.njit(nogil=True, cache=True, error_model="numpy")
def half_to_float(halves, bits):  # type: ignore[no-untyped-def]
    """Convert float16 patterns (uint16, 2-D) to float32 patterns; exact, infinities become 65536."""
    floats = bits.view(np.float32)
    rescale = np.float32(2.0**112)  # moves the exponent bias of half (15) to that of single (127)
    for i in range(halves.shape[0]):
        for j in range(halves.shape[1]):
            h = np.uint32(halves[i, j])
            bits[i, j] = ((h & np.uint32(0x7FFF)) << np.uint32(13)) | ((h & np.uint32(0x8000)) << np.uint32(16))
        for j in range(halves.shape[1]):
            floats[i, j] = floats[i, j] * rescale


def widened(rows: np.ndarray) -> np.ndarray:
    """float16 rows as float32, exactly but that NaN and infinities are above 65,000 then; other types as they are.

    Ten times as quick as NumPy's conversion, and what follows is quicker in float32 too.
    """
    if rows.dtype != np.float16:
        return rows
    bits = np.empty(rows.shape, np.uint32)
    half_to_float(np.ascontiguousarray(rows).view(np.uint16), bits)
    return bits.view(np.float32)


@numba.njit(nogil=True, cache=True, error_model="numpy", inline="never")
def _plus(value, epsilon):  # type: ignore[no-untyped-def]
    # Rounded to the input's own type before anything is compared: in float32 and float64 the result of the
    # un-flag step depends on it. Kept out of the functions with relaxed float rules.
    return value + epsilon


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _slow_row(row, y, low, high):  # type: ignore[no-untyped-def]
    """Row with values below 0 or above 1, by float comparisons.

    Returns (status, largest before y, largest after y, argmax); status 1 = a value outside [low, high] or NaN.
    """
    before = low
    after = low
    top = 0
    for j in range(len(row)):
        value = row[j]
        if not (value >= low and value <= high):
            return 1, before, after, top
        if value > row[top]:
            top = j
        if j < y:
            before = max(before, value) if j > 0 else value
        elif j > y:
            after = max(after, value) if j > y + 1 else value
    return 0, before, after, top


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _list_row(values, i, y, given, tau, floor, candidate, many, rivals, n_many, n_rivals):  # type: ignore[no-untyped-def]
    """Append the entries of row `i` that the lists must hold; returns the new lengths."""
    many_row, many_col, many_val = many
    rival_row, rival_col, rival_val = rivals
    count = 0
    for j in range(len(values)):
        if values[j] >= tau:
            count += 1
    if count >= 2:
        for j in range(len(values)):
            if values[j] >= tau:
                many_row[n_many] = i
                many_col[n_many] = j
                many_val[n_many] = values[j]
                n_many += 1
    if candidate:
        # Written always, kept by moving on: the branch would be mispredicted for every second entry.
        for j in range(len(values)):
            rival_row[n_rivals] = i
            rival_col[n_rivals] = j
            rival_val[n_rivals] = values[j]
            n_rivals += 1 if values[j] > given and values[j] >= floor else 0
    return n_many, n_rivals


def _build_small(n_fixed: int) -> Callable[..., None]:
    """The scan for few columns; `n_fixed` > 0 compiles it for exactly that number of columns."""

    # "reassoc" lets the row sum, which is only compared with a tolerance, be added in vectors.
    @numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
    def scan_small(  # type: ignore[no-untyped-def]
        values, bits, labels, limits, limit_bits, given, other, other_bits, top, candidate, many, rivals, state
    ):
        tau, floor, low, high, sum_tolerance, epsilon = limits
        tau_bits, high_bits, zero = limit_bits
        n_rows = values.shape[0]
        k = n_fixed if n_fixed > 0 else values.shape[1]
        room_many = len(many[0]) - k
        room_rivals = len(rivals[0]) - k
        n_many = state[1]
        n_rivals = state[2]
        scratch = np.empty(1, values.dtype)
        scratch_bits = scratch.view(bits.dtype)
        i = state[0]
        while i < n_rows:
            if n_many > room_many or n_rivals > room_rivals:
                break
            y = np.int64(labels[i])
            before = zero
            after = zero
            total = values[i, 0] - values[i, 0]
            above = 0
            for j in range(k):
                v = bits[i, j]
                before = max(before, v if j < y else zero)
                after = max(after, v if j > y else zero)
                above += 1 if v >= tau_bits else 0
                total += values[i, j]
            s = values[i, y]
            s_bits = bits[i, y]
            rest = max(before, after)
            peak = max(rest, s_bits)
            if not abs(total - 1) <= sum_tolerance or peak > high_bits:
                status, lo_f, hi_f, best = _slow_row(values[i], y, low, high)
                if status == 0 and not abs(total - 1) <= sum_tolerance:
                    status = 2
                if status != 0:
                    state[3] = status
                    break
                e = _plus(s, epsilon)
                keep = not (e > lo_f and e >= hi_f)
                other[i] = max(lo_f, hi_f)
                above = 2
            else:
                scratch[0] = _plus(s, epsilon)
                e_bits = scratch_bits[0]
                keep = not (e_bits > before and e_bits >= after)
                other_bits[i] = rest
                best = k
                for j in range(k):
                    best = min(best, j if bits[i, j] == peak else k)
            given[i] = s
            top[i] = best
            candidate[i] = keep
            if above >= 2 or keep:
                n_many, n_rivals = _list_row(values[i], i, y, s, tau, floor, keep, many, rivals, n_many, n_rivals)
            i += 1
        state[0] = i
        state[1] = n_many
        state[2] = n_rivals

    return scan_small


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _block_maxima(values, bits, i, maxima):  # type: ignore[no-untyped-def]
    """Maximum pattern of each block of row `i` (the last may be short), and the row sum."""
    row = values[i]
    row_bits = bits[i]
    total = row[0] - row[0]
    full = len(row) // _BLOCK
    for b in range(full):
        peak = row_bits[b * _BLOCK]
        for j in range(b * _BLOCK, (b + 1) * _BLOCK):
            peak = max(peak, row_bits[j])
            total += row[j]
        maxima[b] = peak
    if full * _BLOCK < len(row):
        rest = row[full * _BLOCK :]
        rest_bits = row_bits[full * _BLOCK :]
        peak = rest_bits[0]
        for j in range(len(rest)):
            peak = max(peak, rest_bits[j])
            total += rest[j]
        maxima[full] = peak
    return total


# The three loops below run over one block and compare lane numbers of the same width as the patterns: that is
# what lets them vectorise, and at K = 100 they, not reading, are the cost of a row. The slice is taken inside these
# small functions, where the compiler removes its reference counts (atomic, and as dear as the loop itself).
@numba.njit(nogil=True, cache=True, error_model="numpy")
def _around(bits, i, first, last, lane, at):  # type: ignore[no-untyped-def]
    """Largest patterns of row `i` in columns first..last, before and after the `at`-th of them."""
    block = bits[i, first:last]
    zero = lane[0]
    before = zero
    after = zero
    for j in range(len(block)):
        before = max(before, block[j] if lane[j] < at else zero)
        after = max(after, block[j] if lane[j] > at else zero)
    return before, after


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _first_equal(bits, i, first, last, lane, value):  # type: ignore[no-untyped-def]
    """First column of `value` among columns first..last of row `i`, which hold it."""
    block = bits[i, first:last]
    end = lane[_BLOCK - 1]
    found = end
    for j in range(len(block)):
        found = min(found, lane[j] if block[j] == value else end)
    return first + np.int64(found)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _count_reaching(bits, i, first, last, one, least):  # type: ignore[no-untyped-def]
    """Entries of row `i` in columns first..last that are not below `least`."""
    block = bits[i, first:last]
    count = one ^ one
    for j in range(len(block)):
        count += one if block[j] >= least else one ^ one
    return np.int64(count)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _append(values, bits, i, first, last, least, rows, columns, entries, used):  # type: ignore[no-untyped-def]
    """Append the entries of row `i` in columns first..last that are not below `least`; the new length."""
    block = bits[i, first:last]
    block_values = values[i, first:last]
    for j in range(len(block)):
        # Written always, kept by moving on: a branch would be mispredicted for most entries.
        rows[used] = i
        columns[used] = first + j
        entries[used] = block_values[j]
        used += 1 if block[j] >= least else 0
    return used


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _scan_large(  # type: ignore[no-untyped-def]
    values, bits, labels, limits, limit_bits, given, other, other_bits, top, candidate, many, rivals, state
):
    """The scan for many columns, in blocks of `_BLOCK`."""
    tau, floor, low, high, sum_tolerance, epsilon = limits
    tau_bits, high_bits, zero = limit_bits
    many_row, many_col, many_val = many
    rival_row, rival_col, rival_val = rivals
    n_rows, k = values.shape
    n_blocks = (k + _BLOCK - 1) // _BLOCK
    maxima = np.zeros(n_blocks, bits.dtype)
    lane = np.arange(_BLOCK).astype(bits.dtype)
    one = lane[1]
    scratch = np.empty(2, values.dtype)
    scratch_bits = scratch.view(bits.dtype)
    room_many = len(many_row) - k
    room_rivals = len(rival_row) - k
    n_many = state[1]
    n_rivals = state[2]
    i = state[0]
    while i < n_rows:
        if n_many > room_many or n_rivals > room_rivals:
            break
        y = np.int64(labels[i])
        total = _block_maxima(values, bits, i, maxima)
        s = values[i, y]
        s_bits = bits[i, y]
        own = y // _BLOCK
        before = zero
        after = zero
        for b in range(own):
            before = max(before, maxima[b])
        for b in range(own + 1, n_blocks):
            after = max(after, maxima[b])
        peak = max(max(before, after), maxima[own])
        if not abs(total - 1) <= sum_tolerance or peak > high_bits:
            status, lo_f, hi_f, best = _slow_row(values[i], y, low, high)
            if status == 0 and not abs(total - 1) <= sum_tolerance:
                status = 2
            if status != 0:
                state[3] = status
                break
            e = _plus(s, epsilon)
            keep = not (e > lo_f and e >= hi_f)
            other[i] = max(lo_f, hi_f)
            given[i] = s
            top[i] = best
            candidate[i] = keep
            n_many, n_rivals = _list_row(values[i], i, y, s, tau, floor, keep, many, rivals, n_many, n_rivals)
            i += 1
            continue
        base = own * _BLOCK
        inside_before, inside_after = _around(bits, i, base, min(k, base + _BLOCK), lane, lane[y - base])
        before = max(before, inside_before)
        after = max(after, inside_after)
        scratch[0] = _plus(s, epsilon)
        e_bits = scratch_bits[0]
        keep = not (e_bits > before and e_bits >= after)
        given[i] = s
        other_bits[i] = max(before, after)
        candidate[i] = keep
        b = 0
        while maxima[b] != peak:
            b += 1
        begin = b * _BLOCK
        top[i] = _first_equal(bits, i, begin, min(k, begin + _BLOCK), lane, peak)
        above = 0
        for b in range(n_blocks):
            if maxima[b] >= tau_bits:
                above += _count_reaching(bits, i, b * _BLOCK, min(k, (b + 1) * _BLOCK), one, tau_bits)
        if above >= 2:  # a single entry is the argmax, which is stored anyway
            for b in range(n_blocks):
                if maxima[b] >= tau_bits:
                    begin = b * _BLOCK
                    n_many = _append(
                        values, bits, i, begin, min(k, begin + _BLOCK), tau_bits, many_row, many_col, many_val, n_many
                    )
        if keep:
            scratch[1] = floor
            least = max(scratch_bits[1], s_bits + one)  # above the given label's, so never that label itself
            for b in range(n_blocks):
                if maxima[b] >= least:
                    begin = b * _BLOCK
                    n_rivals = _append(
                        values, bits, i, begin, min(k, begin + _BLOCK), least, rival_row, rival_col, rival_val, n_rivals
                    )
        i += 1
    state[0] = i
    state[1] = n_many
    state[2] = n_rivals


_scan_small_any = _build_small(0)


@lru_cache(maxsize=SPECIALISE_MAX_CLASSES)
def _scan_small_for(n_classes: int) -> Callable[..., None]:
    return _build_small(n_classes)


def scan_kernel(n_classes: int, n_rows: int) -> Callable[..., None]:
    """The kernel for a problem of this size. All kernels give the same result."""
    if n_classes > SPECIALISE_MAX_CLASSES:
        return _scan_large
    # Compiling for one number of columns takes a second or two, once per machine: not worth it for few rows.
    return _scan_small_for(n_classes) if n_rows >= _SPECIALISE_MIN_ROWS else _scan_small_any


_SPECIALISE_MIN_ROWS = 20_000


def scan_rows(
    kernel: Callable[..., None],
    chunk: np.ndarray,
    labels: np.ndarray,
    limits: tuple[float, float, float, float, float],
    outputs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    many: tuple[np.ndarray, np.ndarray, np.ndarray],
    rivals: tuple[np.ndarray, np.ndarray, np.ndarray],
    state: np.ndarray,
) -> None:
    """Run `kernel` from row ``state[0]`` on, until the end, a full list or an error (see the module).

    Parameters
    ----------
    chunk : float32 or float64 array (n, K), C-contiguous
    labels : uint16 or uint32 array (n,)
    limits : tau, rival floor, smallest value, largest value, tolerance of the row sum
    outputs : given, other (type of `chunk`), top (type of `labels`), candidate (bool); each (n,)
    many, rivals : (row int64, column, value) buffers with room for K entries at least
    state : int64 array (STATE_SIZE,)
    """
    dtype = chunk.dtype
    unsigned = np.dtype(np.uint32 if dtype == np.float32 else np.uint64)
    numbers: Any = np.array((*limits, EPSILON), dtype)
    patterns = numbers.view(unsigned)
    given, other, top, candidate = outputs
    limit_bits = (patterns[0], patterns[3], unsigned.type(0))
    written = (given, other, other.view(unsigned), top, candidate)
    # Of a file or of an array: numba would compile a kernel for either, a second or two each.
    rows = chunk.view()
    rows.flags.writeable = False
    kernel(rows, rows.view(unsigned), labels, tuple(numbers), limit_bits, *written, many, rivals, state)
