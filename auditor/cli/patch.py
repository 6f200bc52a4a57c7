"""``auditor patch create|show|verify|apply|card|revert|merge|convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from auditor.cli.options import NO_ROLES, DataDir, Index, Json, Offline, Overwrite, Roles, RunName, Store, takes_roles
from auditor.core.escaping import quoted

if TYPE_CHECKING:
    from auditor.patch.applying import PatchResult

app = typer.Typer(
    help="Share, check, apply and take back corrections of labels.", no_args_is_help=True, rich_markup_mode=None
)

PatchFile = Annotated[Path, Argument(metavar="PATCH", help="A *.labelpatch.jsonl or *.labelpatch.parquet file.")]
Data = Annotated[str, Argument(metavar="DATASET", help="A data reference, or the folder of a corrected copy.")]
Force = Annotated[bool, Option("--force-index", help="Find rows by their number where hash or label does not match.")]
Column = Annotated[str | None, Option(help="What the patch's label column is called in this data.")]
Link = Annotated[bool, Option("--link", help="Hard-link files that do not change, to save space.")]


@app.command()
def create(
    run: RunName,
    out: Annotated[Path | None, Option(help="New *.labelpatch.jsonl or .parquet; default: in the run.")] = None,
    consensus: Annotated[str, Option(help="k-of-n (as 3-of-5), majority, dawid-skene or crowdlab.")] = "majority",
    treatment: Annotated[str, Option(help="If both labels apply: strict (wrong, both) or lenient (right).")] = "strict",
    only: Annotated[list[str] | None, Option(help="Keep these operations only (relabel, multi, drop); repeat.")] = None,
    license: Annotated[str, Option(help="CC0-1.0 or CC-BY-4.0.")] = "CC0-1.0",
    leave_out_conflicts: Annotated[bool, Option("--leave-out-conflicts", help="Leave out conflicting copies.")] = False,
    overwrite: Overwrite = False,
    store: Store = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Make a patch of the verdicts on a run. Every record of a test split has a human verdict."""
    from auditor.cli.console import answer
    from auditor.cli.values import run_named, settings_for
    from auditor.core.files import refuse_existing
    from auditor.patch.create import create_patch
    from auditor.patch.files import write_patch
    from auditor.patch.records import OPS
    from auditor.patch.rules import stored_consensus
    from auditor.runs.stages import Stages

    opened = run_named(run)
    path, stages = out or opened.path / "patch.labelpatch.jsonl", Stages(opened.path)
    refuse_existing(path, overwrite or (out is None and stages.wrote(path)))
    made = create_patch(
        opened,
        stored_consensus(opened, consensus, store),
        settings_for(data_dir, offline),
        treatment=treatment,  # type: ignore[arg-type]
        license=license,
        leave_out_conflicts=leave_out_conflicts,
        only=only or OPS,
    )
    with stages.recording(path):
        write_patch(made.patch, path)
    left_out = sorted(made.left_out.items())
    lines = [
        f"{len(made.patch.records):,} records by {consensus} in {path}",
        *(f"No record: {count:,} items with the consensus {verdict!r}" for verdict, count in left_out),
        *(f"Left out, copies of one item judged differently: {conflict}" for conflict in made.conflicts[:10]),
        f"Next: auditor patch show {quoted(path)}",
    ]
    about = {"out": str(path), "records": len(made.patch.records), "consensus": consensus, "treatment": treatment}
    about |= {"left_out": made.left_out, "conflicts": made.conflicts}
    answer(lines, {"schema": "auditor.patch-create/1", **about} if json else None)


@app.command()
def show(patch: PatchFile, json: Json = False) -> None:
    """Show what a patch holds: operations, class pairs, votes."""
    from auditor.cli.console import answer
    from auditor.patch.combine import summary
    from auditor.patch.files import read_patch

    facts = summary(read_patch(patch))
    split = f", split {facts['split']}" if facts["split"] else ""
    counts = ", ".join(f"{n:,} {op}" for op, n in facts["operations"].items())
    pairs = [f"  {pair['records']:>6,}  {pair['from']} -> {pair['to']}" for pair in facts["pairs"][:15]]
    if len(facts["pairs"]) > 15:
        pairs.append(f"  .. {len(facts['pairs']) - 15} more pairs")
    lines = [
        f"{facts['records']:,} records ({counts}) for {facts['dataset']!r}{split}, {facts['n']:,} rows; "
        f"{facts['license']}",
        *pairs,
        f"With a human verdict: {facts['with_human_verdict']:,} of {facts['records']:,}. Items are found by "
        f"{facts['hash']}; label column {facts['label_column']!r}.",
        *(f"Note: {note}" for note in facts["notes"]),
        f"Next: auditor patch verify {quoted(patch)} DATASET",
    ]
    answer(lines, facts if json else None)


@app.command()
@takes_roles
def verify(
    patch: PatchFile,
    data: Data,
    roles: Roles = NO_ROLES,
    force_index: Force = False,
    label_column: Column = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Check header, every hash and every label against a data set; change nothing. Exit 3 if it does not match."""
    from auditor.cli.values import data_named, settings_for
    from auditor.patch.applying import verify_patch
    from auditor.patch.files import read_patch

    data = data_named(data, roles)
    outcome = verify_patch(read_patch(patch), data, settings_for(data_dir, offline), force_index, label_column)
    _report(outcome, json, f"auditor patch apply {quoted(patch)} {quoted(data)} --out FOLDER")


@app.command("apply")
@takes_roles
def apply_command(
    patch: PatchFile,
    data: Data,
    roles: Roles = NO_ROLES,
    out: Annotated[Path | None, Option(help="New folder for the corrected copy.")] = None,
    mapping: Annotated[Path | None, Option(help="Write the corrections as CSV instead of a copy.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the file of --mapping.")] = False,
    force_index: Force = False,
    label_column: Column = None,
    link: Link = False,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Write a corrected copy of a data set. The data itself is never changed."""
    from auditor.cli.values import data_named, settings_for
    from auditor.core.files import refuse_existing
    from auditor.patch.applying import apply_patch
    from auditor.patch.files import read_patch

    if mapping is not None:
        refuse_existing(mapping, overwrite)
    data = data_named(data, roles)
    outcome = apply_patch(
        read_patch(patch), data, settings_for(data_dir, offline), out, mapping, force_index, label_column, link
    )
    back = f"auditor patch revert {quoted(patch)} {quoted(out)} --out FOLDER takes it back"
    follow = back if out else "use the mapping file"
    _report(outcome, json, follow)


@app.command()
def card(
    patch: PatchFile,
    copy: Annotated[Path, Argument(metavar="COPY", help="Folder of the corrected copy that the patch made.")],
    json: Json = False,
) -> None:
    """Prepare a corrected copy for a Hub of data sets: a dataset card, and the patch in it. Nothing is sent."""
    from auditor.cli.console import answer
    from auditor.patch.files import read_patch
    from auditor.report.dataset_card import write_card

    page, kept = write_card(read_patch(patch), copy)
    document = {"schema": "auditor.patch-card/1", "card": str(page), "patch": str(kept)} if json else None
    send = f"hf upload ORGANISATION/NAME {quoted(copy)} . --repo-type dataset"
    answer([f"Wrote {page} and {kept}.", f"Next: read {page}, say whose data it is, then {send}"], document)


@app.command()
@takes_roles
def revert(
    patch: PatchFile,
    data: Data,
    out: Annotated[Path, Option(help="New folder for the copy without the patch.")],
    roles: Roles = NO_ROLES,
    label_column: Column = None,
    link: Link = False,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Write a copy without the patch; of a corrected copy, exactly what was there before."""
    from auditor.cli.values import data_named, settings_for
    from auditor.patch.applying import revert_patch
    from auditor.patch.files import read_patch

    data = data_named(data, roles)
    outcome = revert_patch(read_patch(patch), data, settings_for(data_dir, offline), out, label_column, link)
    _report(outcome, json, f"auditor find-errors {quoted(out)}")


@app.command()
def merge(
    patches: Annotated[list[Path], Argument(metavar="PATCH..", help="Two or more patches for one data set.")],
    out: Annotated[Path, Option(help="New patch.")],
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Merge patches. Conflicts are listed and nothing is written (exit 3)."""
    from auditor.cli.console import answer
    from auditor.core.files import refuse_existing
    from auditor.patch.combine import merge_patches
    from auditor.patch.files import read_patch, write_patch

    refuse_existing(out, overwrite)
    merged = merge_patches([read_patch(p) for p in patches], [str(p) for p in patches])
    write_patch(merged.patch, out)
    n = len(merged.patch.records)
    lines = [
        f"{n:,} records of {len(patches)} patches in {out}; {merged.repeated:,} said twice",
        *(f"Note: {note}" for note in merged.notes),
        f"Next: auditor patch verify {quoted(out)} DATASET",
    ]
    about = {"out": str(out), "records": n, "repeated": merged.repeated, "notes": list(merged.notes)}
    answer(lines, {"schema": "auditor.patch-merge/1", **about} if json else None)


@app.command()
@takes_roles
def convert(
    source: Annotated[Path, Argument(metavar="FILE", help="A patch, or corrections in another format.")],
    out: Annotated[Path, Argument(metavar="OUT", help="A *.labelpatch.jsonl or .parquet file, or another format.")],
    read_as: Annotated[
        str | None,
        Option("--from", help="published, real, csv, label-studio, argilla, cvat, coco, fiftyone, column or patch."),
    ] = None,
    write_as: Annotated[str | None, Option("--to", help="As --from.")] = None,
    data: Annotated[str | None, Option(help="The data set it is about; needed unless FILE is a patch.")] = None,
    roles: Roles = NO_ROLES,
    k: Annotated[int, Option(help="Votes of five that make a consensus (published).")] = 3,
    index: Index = None,
    column: Annotated[str, Option(help="Column of corrected labels.")] = "corrected_label",
    strip: Annotated[str, Option(help="What FILE puts in front of the paths that the data has.")] = "",
    overwrite: Overwrite = False,
    data_dir: DataDir = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """From and to published verdicts, ReaL, CSV, Label Studio, FiftyOne, a Hub column."""
    from auditor.cli.console import answer
    from auditor.cli.values import data_named, settings_for
    from auditor.core.files import refuse_existing
    from auditor.patch.convert.base import Options
    from auditor.patch.convert.base import convert as work

    refuse_existing(out, overwrite)
    options, settings = Options(k=k, index=index, column=column, strip=strip), settings_for(data_dir, offline)
    reference = data_named(data, roles)
    done = work(source, out, settings, read_as=read_as, write_as=write_as, reference=reference, options=options)
    n = len(done.patch.records)
    lines = [
        f"{n:,} records: {done.source} -> {done.target}, written to {out}",
        *(f"Note: {note}" for note in done.notes),
        f"Next: auditor patch show {quoted(out)}"
        if done.target == "patch"
        else f"Next: open {out} with the other tool",
    ]
    about = {"out": str(out), "from": done.source, "to": done.target, "records": n, "notes": list(done.notes)}
    answer(lines, {"schema": "auditor.patch-convert/1", **about} if json else None)


def _report(result: PatchResult, json: bool, follow: str) -> None:
    from dataclasses import asdict

    from auditor.cli.console import answer

    verb = {"verify": "would change", "apply": "changed", "revert": "taken back"}[result.command]
    counts = ", ".join(f"{n:,} {op}" for op, n in result.changed.items() if n)
    rows = f"{sum(result.changed.values()):,} rows {verb}{f' ({counts})' if counts else ''}"
    lines = [f"{result.records:,} records fit {result.dataset!r}: {rows}, {result.done:,} already so"]
    lines += [
        f"Left alone: row {row['key']}, a copy of an item of line {row['line']}, is labelled {row['label']!r}, "
        f"not {row['from']!r}"
        for row in result.other[:10]
    ]
    if len(result.other) > 10:
        lines.append(f"Left alone: {len(result.other) - 10:,} more copies with other labels")
    lines += [
        f"FORCED: row {row['index']} ({row['key']}) was found by its number only; it was labelled {row['now']!r}"
        for row in result.forced
    ]
    lines += [f"Warning: {warning}" for warning in result.warnings]
    if result.multi_place:
        lines.append(f"Items with several labels: {result.multi_place}; the label column holds one of them")
    if result.out:
        lines.append(f"Written: {result.out}")
    document = {"schema": f"auditor.patch-{result.command}/1", **asdict(result)} if json else None
    answer([*lines, f"Next: {follow}"], document)
