"""Very many classes: seconds and memory of `auditor flag`, which must follow the items, not the pairs of classes.

Every size and rule runs in a process of its own. 2,000 x 10,000 must take less than 2 s and 1 GB, 200,000 x 10,000 from
disk (4 GB of float16) less than 1 GB. With --compare, cleanlab's mask of every rule of its is made too, and must be the
same; where it is killed for its memory, the row says so.

    python benchmarks/engine_classes.py [--sizes 2000x10000,200000x10000] [--rules default,both] [--compare]
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import conditions, save, timed, write_file

CLEANLAB_RULES = (
    *("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"),
    *("low_self_confidence", "low_normalized_margin"),
)
RULES = ("default", *CLEANLAB_RULES, "paper")


def ours(path: Path, rule: str) -> dict[str, Any]:
    """What `auditor flag` says, and the wall time of the whole process, interpreter and imports included."""
    files = ("--pred-probs", str(path), "--labels", str(path.with_suffix(".labels.npy")))
    command = [sys.executable, "-m", "auditor", "flag", *files, "--rule", rule, "--json", "--quiet"]
    seconds, done = timed(lambda: subprocess.run(command, check=True, capture_output=True, text=True))
    document = json.loads(done.stdout)
    keys = ("n_flagged", "seconds", "peak_memory_bytes", "flagged_indices")
    return {"rule": rule, "process_s": seconds, **{key: document[key] for key in keys}}


def theirs(path: Path, rule: str) -> None:
    """cleanlab's flags, printed; runs in its own process."""
    from cleanlab.filter import find_label_issues

    warnings.simplefilter("ignore")
    p, labels = np.load(path).astype(np.float32), np.load(path.with_suffix(".labels.npy"))
    seconds, mask = timed(lambda: find_label_issues(labels, p, filter_by=rule, n_jobs=1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_memory_bytes": peak, "flagged": np.flatnonzero(mask).tolist()}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="2000x10000,200000x10000")
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--cleanlab", nargs=2, metavar=("FILE", "RULE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cleanlab:
        theirs(Path(options.cleanlab[0]), options.cleanlab[1])
        return
    rows = []
    for size in options.sizes.split(","):
        n, k = map(int, size.split("x"))
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            path = Path(folder) / "p.npy"
            write_file(path, n, k)
            ours(path, options.rules.split(",")[0])  # compile
            for rule in options.rules.split(","):
                row = {"n": n, "k": k, **ours(path, rule)}
                flagged = sorted(row.pop("flagged_indices"))
                if options.compare and rule in CLEANLAB_RULES:
                    command = [sys.executable, __file__, "--cleanlab", str(path), rule]
                    done = subprocess.run(command, check=False, capture_output=True, text=True)
                    if done.returncode == -signal.SIGKILL:
                        row["cleanlab"] = "killed: it needs more memory than there is"
                    else:
                        row["cleanlab"] = json.loads(done.stdout)
                        row["equal"] = row["cleanlab"].pop("flagged") == flagged
                rows.append(row)
                print(json.dumps(row), flush=True)
    save("engine-classes.json", {"what": __doc__, "conditions": conditions(), "rows": rows})


if __name__ == "__main__":
    main()
