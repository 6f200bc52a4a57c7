"""``auditor check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import DataDir, Json, Quiet, Store


def check(
    target: Annotated[str, typer.Argument(metavar="DATASET|RUN", help="Data reference, or a reviewed run.")],
    policy: Annotated[
        Path | None, typer.Option(help="File with the policy; default: the nearest auditor.toml or pyproject.toml.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Judge every row, whatever the baseline holds.")] = False,
    run: Annotated[str | None, typer.Option(help="Reviewed run of the data set, instead of the policy's.")] = None,
    store: Store = None,
    write_baseline: Annotated[
        Path | None, typer.Option(help="When the gate passes, write the manifest of accepted rows here.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit XML here.")] = None,
    github: Annotated[
        bool | None,
        typer.Option("--github/--no-github", help="Print GitHub annotations; default: where GITHUB_ACTIONS is true."),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a data set by the limits of a policy, for CI. Exit code 1 when one is broken."""
    import os
    import sys

    from auditor.cli.console import print_json, say
    from auditor.core.config import load_settings
    from auditor.core.files import atomic_write
    from auditor.policy.baseline import write_baseline as write
    from auditor.policy.check import check as work
    from auditor.policy.output import check_document, check_lines, github_annotations, junit_xml
    from auditor.policy.policy import load_policy

    chosen, file = load_policy(policy)
    given = {"run": run, "store": store}
    chosen = chosen.model_copy(update={name: value for name, value in given.items() if value is not None})
    result, rows = work(target, chosen, str(file), load_settings({"data_dir": data_dir}), everything=everything)
    if junit is not None:
        with atomic_write(junit) as handle:
            handle.write(junit_xml(result))
    if not quiet:
        for line in check_lines(result):
            say(line)
    if os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github:
        # GitHub reads both streams; stdout stays one document where that was asked for.
        for line in github_annotations(result):
            (sys.stderr if json else sys.stdout).write(line + "\n")
    if json:
        print_json(check_document(result))
    if result.passed and write_baseline is not None:
        write(write_baseline, rows)
    if not quiet:
        say(_next(result.passed, write_baseline, target))
    if not result.passed:
        raise typer.Exit(1)


def _next(passed: bool, written: Path | None, target: str) -> str:
    if not passed:
        return "Next: correct the rows above, or review more of them"
    if written is not None:
        return f"Next: commit {written}"
    return f"Next: auditor check {target} --write-baseline FILE accepts these rows"
