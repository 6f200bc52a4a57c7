"""``auditor check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from auditor.cli.options import NO_ROLES, DataDir, Json, Overwrite, Quiet, Roles, Store, existing_run, takes_roles


@takes_roles
def check(
    target: Annotated[str, Argument(metavar="DATASET|RUN", help="Data reference, or a reviewed run.")],
    policy: Annotated[
        Path | None, Option(help="Policy file; default: the nearest auditor.toml or pyproject.toml.")
    ] = None,
    roles: Roles = NO_ROLES,
    everything: Annotated[bool, Option("--all", help="Judge every row, whatever the baseline holds.")] = False,
    run: Annotated[
        str | None, Option(callback=existing_run, help="Reviewed run of the data set, instead of the policy's.")
    ] = None,
    store: Store = None,
    patch: Annotated[Path | None, Option(help="Label patch that was applied: its voted corrections count.")] = None,
    write_baseline: Annotated[Path | None, Option(help="When the gate passes, write the accepted rows here.")] = None,
    junit: Annotated[Path | None, Option(help="Write the outcome as JUnit XML here.")] = None,
    summary: Annotated[
        Path | None, Option(help="Write the outcome as Markdown here; in a GitHub action it is added to the summary.")
    ] = None,
    overwrite: Overwrite = False,
    github: Annotated[
        bool | None, Option("--github/--no-github", help="GitHub annotations; default: in a GitHub action.")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a data set by the limits of a policy, for CI. Exit code 1 when one is broken."""
    import os
    import sys

    from auditor.cli.console import answer, print_json
    from auditor.core.config import load_settings
    from auditor.core.escaping import quoted
    from auditor.core.files import atomic_write, refuse_existing
    from auditor.policy.baseline import is_baseline
    from auditor.policy.baseline import write_baseline as write
    from auditor.policy.check import check as work
    from auditor.policy.output import (
        check_document,
        check_lines,
        check_markdown,
        github_annotations,
        is_junit,
        is_summary,
        junit_xml,
    )
    from auditor.policy.policy import load_policy

    for path, is_ours in (
        (junit, is_junit),
        (write_baseline, is_baseline),
        (summary, is_summary),
    ):  # a gate is run again and again
        if path is not None:
            refuse_existing(path, overwrite or is_ours(path))
    chosen, file = load_policy(policy)
    given = {"run": run, "store": store, "patch": None if patch is None else str(patch)}
    chosen = chosen.model_copy(update={name: value for name, value in given.items() if value is not None})
    settings = load_settings({"data_dir": data_dir})
    result, rows = work(target, chosen, str(file), settings, everything=everything, **roles)
    if junit is not None:
        with atomic_write(junit) as handle:
            handle.write(junit_xml(result))
    if summary is not None:
        with atomic_write(summary) as handle:
            handle.write(check_markdown(result).encode())
    answer(check_lines(result), None, quiet)
    annotates = os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github
    if annotates and summary is None and (page := os.environ.get("GITHUB_STEP_SUMMARY")):
        with open(page, "a", encoding="utf-8") as handle:  # other steps, and other calls of this one, write there too
            handle.write(check_markdown(result))
    if annotates:
        # GitHub reads both streams; stdout stays one document where that was asked for.
        for line in github_annotations(result):
            (sys.stderr if json else sys.stdout).write(line + "\n")
    if json:
        print_json(check_document(result))
    if result.passed and write_baseline is not None:
        write(write_baseline, rows)
    follow = "correct the rows above, or review more of them"
    if result.passed:
        accept = f"auditor check {quoted(target)} --write-baseline FILE accepts these rows"
        follow = f"commit {write_baseline}" if write_baseline is not None else accept
    answer([f"Next: {follow}"], None, quiet)
    if not result.passed:
        raise typer.Exit(1)
