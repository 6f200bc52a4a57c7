"""``auditor verify``."""

from __future__ import annotations

from auditor.cli.options import Json, RunName, Store


def verify(run: RunName, store: Store = None, json: Json = False) -> None:
    """Compare every file of a run with the hash it was written with, and check its verdicts. Changes nothing."""
    from auditor.cli.console import answer
    from auditor.cli.values import run_named
    from auditor.core.errors import AuditorError, UnreadableError
    from auditor.patch.rules import open_store
    from auditor.review.vocabulary import REVIEW_FILE
    from auditor.runs.verify import DAMAGED, INTACT, FileState, verify_files

    opened = run_named(run)
    states = verify_files(opened)
    # Those that were moved aside hold verdicts on what the folder held before.
    stores = {path.name: str(path) for path in sorted(opened.path.glob("review*.sqlite"))}
    if store is not None:
        stores[REVIEW_FILE] = store
    for name, where in stores.items():
        note = ""
        try:
            with open_store(where, make=False) as verdicts:
                wrong = verdicts.verify(opened if name == REVIEW_FILE else None)
                note = verdicts.checksum_note()
        except AuditorError as error:
            wrong = [error.what]
        label = "verdict store" if name == REVIEW_FILE else name
        states.append(FileState(label, DAMAGED if wrong else INTACT, "; ".join(wrong[:5]) or note))
    damaged = [state for state in states if state.state == DAMAGED]
    lines = [f"{state.file}: {state.state}{f', {state.detail}' if state.detail else ''}" for state in states]
    document = {"schema": "auditor.verify/1", "run": opened.id, "damaged": len(damaged)}
    answer(lines, document | {"files": [vars(state) for state in states]} if json else None)
    if damaged:
        raise UnreadableError(
            f"{len(damaged):,} of {len(states):,} files of {str(opened.path)!r} are damaged: "
            f"{', '.join(state.file for state in damaged[:5])}.",
            "Repeat the command that wrote them; find-errors makes damaged files of a run again. Restore verdicts from "
            "a copy, or save those that are whole: auditor import-verdicts RUN STORE --store NEW.sqlite",
        )
