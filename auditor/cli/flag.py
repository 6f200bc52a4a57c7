"""``auditor flag``."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from auditor.cli.options import Address, ClassNames, Engine, Json, OptionalRun, Overwrite, Quiet, Store

if TYPE_CHECKING:
    import pandas as pd

    from auditor.audit.flagging import Inputs


def flag(
    run: OptionalRun = None,
    pred_probs: Annotated[
        list[str] | None,
        Option(
            help="Probabilities (.npy, .npz, .zarr, .parquet, .csv, folder, fsspec URI); repeat to combine networks."
        ),
    ] = None,
    labels: Annotated[
        str | None, Option(help="Given labels, one per row; default: those beside the probabilities.")
    ] = None,
    kind: Annotated[
        str | None, Option(help="Labels that are more than one class an item: multilabel, .. (docs/label-kinds.md).")
    ] = None,
    predictions: Annotated[
        list[str] | None, Option(help="With --kind: predicted values, boxes, ..; repeat for several models.")
    ] = None,
    offsets: Annotated[str | None, Option(help="With --kind: where each sentence begins, and the end.")] = None,
    class_names: ClassNames = None,
    rule: Annotated[str | None, Option(help="default (as find-errors), a cleanlab filter name, or paper.")] = None,
    detector: Annotated[str | None, Option(help="A detector by name, instead of a rule.")] = None,
    fdr: Annotated[
        float | None, Option(help="From the review: expected share of right labels in the list, at most this.")
    ] = None,
    precision: Annotated[
        float | None, Option(help="From the review: share of wrong labels in the list, at least this.")
    ] = None,
    confidence: Annotated[float, Option(help="Confidence of --precision.")] = 0.95,
    store: Store = None,
    scores: Annotated[
        Path | None, Option(help="Write one score per item here (.npy); higher = more likely wrong.")
    ] = None,
    out: Annotated[Path | None, Option(help="Write the flagged items here (.csv or .parquet).")] = None,
    images: Annotated[
        str | None, Option(help="Of boxes and masks: folder of the pictures, for --report and --tasks.")
    ] = None,
    report: Annotated[
        Path | None, Option(help="Of boxes and masks: write the flagged pictures here, with what is wrong (.html).")
    ] = None,
    tasks: Annotated[
        Path | None, Option(help="Of boxes and masks: write tasks for Label Studio here (.json, and .xml beside it).")
    ] = None,
    image_prefix: Annotated[
        str | None, Option(help="What stands before the pictures' paths in --tasks; default: /data/local-files/?d=")
    ] = None,
    overwrite: Overwrite = False,
    engine: Engine = "local",
    address: Address = None,
    threads: Annotated[int | None, Option(min=1, help="Threads; default: all CPUs.")] = None,
    chunk_rows: Annotated[int | None, Option(min=1, help="Rows per piece; never changes the result.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Flag again, without training: from a run or from probability files, streaming."""
    from auditor.cli.console import answer
    from auditor.cli.values import TABLE_SUFFIXES, check_suffix, frame_csv, write_frame
    from auditor.core.errors import UsageError
    from auditor.core.escaping import printable
    from auditor.core.files import refuse_existing

    written = {"--out": (out, TABLE_SUFFIXES), "--scores": (scores, (".npy",))}
    written |= {"--report": (report, (".html",)), "--tasks": (tasks, (".json",))}
    for name, (path, suffixes) in written.items():
        if path is not None:
            check_suffix(name, path, suffixes)
            refuse_existing(path, overwrite)
    if tasks is not None:
        refuse_existing(tasks.with_suffix(".xml"), overwrite)
    of_kinds = {"predictions": predictions, "offsets": offsets}
    of_pictures = {"images": images, "report": report, "tasks": tasks, "image_prefix": image_prefix}
    if kind is None:
        _refuse({f"--{name.replace('_', '-')}": value for name, value in (of_kinds | of_pictures).items()}, "goes")
    if kind is not None:
        own = {"RUN": run, "--class-names": class_names, "--rule": rule, "--detector": detector, "--fdr": fdr}
        _refuse({**own, "--precision": precision, "--threads": threads, "--chunk-rows": chunk_rows}, "does not go")
        inputs_of_kind = {"pred_probs": pred_probs, "labels": labels, **of_kinds}
        lines, document, table = _flag_kind(kind, inputs_of_kind, scores, images, report, tasks, image_prefix)
    elif fdr is None and precision is None:
        by = {"rule": rule, "detector": detector, "chunk_rows": chunk_rows, "threads": threads}
        inputs = _inputs(run, pred_probs or [], labels, class_names)
        lines, document, table = _flag(inputs, run, scores, engine, address, quiet, by)
    else:
        if any(value is not None for value in (pred_probs, labels, rule, detector, scores)):
            raise UsageError(
                "--fdr and --precision take the ranking of a reviewed run.",
                "Leave out --pred-probs, --labels, --rule, --detector and --scores.",
            )
        lines, document, table = _flag_guaranteed(run, fdr, precision, confidence, store)
    if out is not None:
        write_frame(table, out)
        lines.insert(-1, f"flagged items written to {out}")
    answer(lines, document if json else None, quiet)
    if not json:
        sys.stdout.write(frame_csv(table, printable))


def _refuse(options: dict[str, Any], how: str) -> None:
    """Refuse the first of these that was given (UsageError)."""
    from auditor.core.errors import UsageError

    if given := [name for name, value in options.items() if value is not None]:
        raise UsageError(f"{given[0]} {how} with --kind.", "auditor flag --kind KIND --labels Y ..")


def _flag_kind(
    kind: str,
    inputs: dict[str, Any],
    scores: Path | None,
    images: str | None,
    report: Path | None,
    tasks: Path | None,
    image_prefix: str | None,
) -> tuple[list[str], dict[str, Any], pd.DataFrame]:
    """As `_flag`, of labels of a kind; an option given once is no list."""
    import time

    from auditor.core.errors import UsageError
    from auditor.core.machine import peak_memory
    from auditor.kinds.registry import KINDS, flag_kind

    if images is not None and report is None and tasks is None:
        raise UsageError("--images is for --report and --tasks.", "Add one of them, or leave it out.")
    if image_prefix is not None and tasks is None:
        raise UsageError("--image-prefix is for --tasks.", "Add --tasks TASKS.json, or leave it out.")
    started = time.perf_counter()
    given = {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in inputs.items()}
    flags = flag_kind(kind, **given)
    if scores is not None:
        flags.save_scores(scores)
    seconds = time.perf_counter() - started
    cells = math.prod(flags.shape)
    share = len(flags.flagged) / max(cells, 1)  # a kind that finds its cells itself may find none
    lines = [f"{len(flags.flagged):,} of {cells:,} cells flagged ({share:.2%}) in {seconds:.2f} s"]
    lines += [f"{count:,} {code}: {KINDS.load(kind).codes[code]}" for code, count in flags.counts.items()]
    if scores is not None:
        lines.append(f"scores written to {scores}")
    if report is not None:
        from auditor.report.located import write_page

        lines.append(f"{write_page(flags, report, images):,} pictures shown in {report}")
    if tasks is not None:
        from auditor.kinds.tasks import LOCAL_FILES, write_tasks

        count = write_tasks(flags, tasks, images, LOCAL_FILES if image_prefix is None else image_prefix)
        lines.append(f"{count:,} tasks for Label Studio in {tasks}, the labelling configuration beside it (.xml)")
    document = {**flags.document(), "seconds": round(seconds, 6), "peak_memory_bytes": peak_memory()}
    return lines, document, flags.to_frame()


def _flag(
    inputs: Inputs,
    run: str | None,
    scores: Path | None,
    engine: str,
    address: str | None,
    quiet: bool,
    options: dict[str, Any],
) -> tuple[list[str], dict[str, Any], pd.DataFrame]:
    """Lines for people, the document, and the table of flagged items."""
    import numpy as np

    from auditor.audit.flagging import flag_inputs
    from auditor.cli.console import say
    from auditor.cli.values import choose_executor
    from auditor.core.escaping import quoted
    from auditor.core.files import atomic_write

    result = flag_inputs(inputs, executor=choose_executor(engine, address), note=None if quiet else say, **options)
    n, flagged = result.analysis.n_items, len(result.flagged)
    by = f"rule {result.rule}" if result.rule else f"detector {result.detector}"
    lines = [f"{flagged:,} of {n:,} items flagged ({flagged / n:.2%}) by {by} in {result.seconds:.2f} s"]
    if len(result.weights) > 1:
        lines.append("weights of the files: " + ", ".join(f"{w:.3f}" for w in result.weights))
    if scores is not None:
        with atomic_write(scores) as handle:
            np.save(handle, result.findings.score)
        lines.append(f"scores written to {scores}")
    review = f"review {quoted(run)}" if run else "find-errors --pred-probs P --labels Y  (a run folder to review)"
    return [*lines, f"Next: auditor {review}"], result.document(inputs.ids), result.to_frame(inputs.ids)


def _flag_guaranteed(
    run: str | None, fdr: float | None, precision: float | None, confidence: float, store: str | None
) -> tuple[list[str], dict[str, Any], pd.DataFrame]:
    """As `_flag`, of the list and what it promises; an empty one says what is missing, which is no failure."""
    import pandas as pd

    from auditor.cli.values import run_named
    from auditor.core.errors import UsageError
    from auditor.core.escaping import quoted
    from auditor.estimation.documents import list_document
    from auditor.estimation.flag_lists import flag_at_fdr, flag_at_precision
    from auditor.estimation.sample import read_review

    if run is None:
        raise UsageError("--fdr and --precision need a reviewed run.", "auditor flag RUN --fdr 0.1")
    if fdr is not None and precision is not None:
        raise UsageError("--fdr and --precision exclude each other.", "Give one of them.")
    state = read_review(run_named(run), store)
    flagged = flag_at_fdr(state, fdr) if fdr is not None else flag_at_precision(state, precision or 0.0, confidence)
    document = list_document(state, flagged)
    lines = [
        f"{len(flagged.positions):,} of {flagged.candidates:,} candidates flagged; {flagged.words()}",
        f"from {flagged.uniform_reviews:,} uniform reviews; ambiguous verdicts count as wrong",
    ]
    if flagged.left_out:
        lines.append(f"{flagged.left_out:,} items were reviewed and found right: left out")
    more = f"auditor sample {quoted(run)} --budget {state.planned + flagged.more_draws}"
    lines.append(f"Next: {more if flagged.more_draws else f'auditor patch create {quoted(run)}'}")
    return lines, document, pd.DataFrame(document["flagged"], columns=["id", "given", "suggested", "score"])


def _inputs(run: str | None, pred_probs: list[str], labels: str | None, class_names: str | None) -> Inputs:
    from auditor.audit.flagging import inputs_from_files, inputs_from_run
    from auditor.cli.values import parse_class_names, run_named
    from auditor.core.errors import UsageError

    if (run is None) == (not pred_probs):
        raise UsageError("give either a run folder or --pred-probs.", "auditor flag RUN | --pred-probs P --labels Y")
    if run is None:
        return inputs_from_files(pred_probs, labels, parse_class_names(class_names))
    if labels is not None or class_names is not None:
        raise UsageError("--labels and --class-names go with --pred-probs; a run has its own.")
    return inputs_from_run(run_named(run))
