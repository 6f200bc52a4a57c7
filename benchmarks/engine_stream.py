"""From disk: speed against plain reads of the same file, peak memory, and cost over four sizes.

The first command runs four sizes up to a fraction of 50,000,000 x 345 float16 (QuickDraw's size, 34.5 GB), which show
that seconds and memory grow linearly; the second runs the whole. Every size runs in a process of its own, so that peak
memory is its own.

    python benchmarks/engine_stream.py [--rows 4000000] [--folder DIR]
    python benchmarks/engine_stream.py --rows 50000000 --shares 1 --repeats 1 --name engine-stream-full
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import RESULTS, conditions, save, timed, write_file

FULL_ROWS, CLASSES = 50_000_000, 345


def plain_read(path: Path) -> int:
    """Read the file in pieces into one buffer and do nothing with it."""
    buffer, total = bytearray(4 << 20), 0
    with open(path, "rb", buffering=0) as handle:
        while got := handle.readinto(buffer):
            total += got
    return total


def forget(path: Path) -> None:
    """Drop the file from the page cache."""
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def child(path: Path, repeats: int) -> dict[str, Any]:
    """Measure one file; runs in its own process."""
    from auditor.core.machine import peak_memory
    from auditor.engine import api

    labels = np.load(path.with_suffix(".labels.npy"), mmap_mode="r")
    source = api.open_probabilities(path)
    warm = api.analyze(source.read(0, 3000).copy(), np.asarray(labels[:3000]))  # compile
    api.flag(warm)
    base = peak_memory()
    reads, scans, prunes, cold_reads, cold_scans = [], [], [], [], []
    for _ in range(repeats):
        forget(path)
        cold_reads.append(timed(lambda: plain_read(path))[0])
        forget(path)
        cold_scans.append(timed(lambda: api.analyze(source, labels).n_items)[0])
    for _ in range(repeats):
        reads.append(timed(lambda: plain_read(path))[0])
        seconds, analysis = timed(lambda: api.analyze(source, labels))
        scans.append(seconds)
        seconds, mask = timed(partial(api.flag, analysis))
        prunes.append(seconds)
        found = int(mask.sum()), analysis.n_issues
        listed = sum(len(part.row) for part in (*analysis.store.many, *analysis.store.rivals))
        analysis = mask = None
    return {
        "rows": len(labels),
        "bytes": path.stat().st_size,
        "plain_read_s": reads,
        "analyze_s": scans,
        "prune_by_noise_rate_s": prunes,
        "cold_read_s": cold_reads,
        "cold_analyze_s": cold_scans,
        "flagged": found,
        "list_entries": listed,
        "base_memory_bytes": base,
        "peak_memory_bytes": peak_memory(),
    }


def svg(rows: list[dict[str, Any]]) -> str:
    """Seconds over the number of values, drawn without a plotting library."""
    width, height, pad = 520, 300, 45
    series = {
        "analyze (s)": [statistics.median(r["analyze_s"]) for r in rows],
        "plain read (s)": [statistics.median(r["plain_read_s"]) for r in rows],
        "analyze + prune_by_noise_rate (s)": [
            statistics.median(r["analyze_s"]) + statistics.median(r["prune_by_noise_rate_s"]) for r in rows
        ],
    }
    xs = [r["rows"] * CLASSES / 1e9 for r in rows]
    top, right = max(max(v) for v in series.values()), max(xs)
    place = lambda x, y: (pad + x / right * (width - 2 * pad), height - pad - y / top * (height - 2 * pad))  # noqa: E731
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<path d="M{pad},{pad} V{height - pad} H{width - pad}" fill="none" stroke="black"/>',
        f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">',
        "billion values (rows x classes), float16 file</text>",
        f'<text x="{pad}" y="{pad - 10}">seconds (axis to {top:.2f})</text>',
        f'<text x="{width - pad}" y="{height - pad + 14}" text-anchor="end">{right:.2f}</text>',
    ]
    for color, (name, values), line in zip(("#1f77b4", "#7f7f7f", "#d62728"), series.items(), range(3), strict=True):
        points = [place(x, y) for x, y in zip(xs, values, strict=True)]
        parts.append(
            f'<polyline fill="none" stroke="{color}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
        parts.append(f'<text x="{pad + 10}" y="{pad + 14 + 14 * line}" fill="{color}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def linear_fit(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and memory as straight lines over the rows."""
    values = np.array([r["rows"] for r in rows], float)
    seconds = np.array([statistics.median(r["analyze_s"]) for r in rows])
    memory = np.array([r["peak_memory_bytes"] for r in rows], float)
    per_row, fixed = np.polyfit(values, seconds, 1)
    bytes_per_row, base = np.polyfit(values, memory, 1)
    return {
        "seconds_per_row_spread": float((seconds / values).max() / (seconds / values).min()),
        "fit": {"seconds_per_million_rows": per_row * 1e6, "seconds_fixed": fixed},
        "memory_fit": {"bytes_per_row": bytes_per_row, "base_bytes": base},
        "extrapolated_to_full": {
            "analyze_s": per_row * FULL_ROWS + fixed,
            "peak_memory_bytes": bytes_per_row * FULL_ROWS + base,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--shares", default="8,4,2,1", help="sizes, as fractions of --rows")
    parser.add_argument("--name", default="engine-stream", help="of the result files")
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child, options.repeats)))
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for share in map(int, options.shares.split(",")):
            n = options.rows // share
            path = Path(folder) / f"p{n}.npy"
            write_file(path, n, CLASSES)
            call = [sys.executable, __file__, "--child", str(path), "--repeats", str(options.repeats)]
            done = subprocess.run(call, check=True, capture_output=True, text=True)
            row = json.loads(done.stdout)
            path.unlink()
            read, scan = statistics.median(row["plain_read_s"]), statistics.median(row["analyze_s"])
            row["share_of_read_speed"] = read / scan
            cold, cold_scan = statistics.median(row["cold_read_s"]), statistics.median(row["cold_analyze_s"])
            row["share_of_disk_speed"] = cold / cold_scan
            rows.append(row)
            print(
                f"{n:>10,} x {CLASSES} float16 ({row['bytes'] / 1e9:.2f} GB): plain read {read:.2f} s, "
                f"analyze {scan:.2f} s; from disk {cold:.2f} and {cold_scan:.2f} s "
                f"({read / scan:.0%} of cached, {cold / cold_scan:.0%} of disk speed), prune_by_noise_rate "
                f"{statistics.median(row['prune_by_noise_rate_s']):.2f} s, "
                f"peak {row['peak_memory_bytes'] / 1e9:.2f} GB",
                flush=True,
            )
    document = {
        "what": __doc__,
        "conditions": conditions(),
        "classes": CLASSES,
        "full_rows": FULL_ROWS,
        "fraction_run": options.rows / FULL_ROWS,
        "rows": rows,
        **(linear_fit(rows) if len(rows) > 2 else {}),
    }
    save(f"{options.name}.json", document)
    if len(rows) > 2:
        (RESULTS / f"{options.name}.svg").write_text(svg(rows))


if __name__ == "__main__":
    main()
