"""Options that several commands share, each declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar

from typer import Argument, Option

Result = TypeVar("Result")


def existing_run(run: Any) -> Any:
    """A RUN, or several, as given, once they are sure to be there; commands import what reads one only after that.

    Raises
    ------
    RunError
        As `auditor.runs.folders.run_folder`.
    """
    from auditor.core.config import load_settings
    from auditor.runs.folders import run_folder

    for one in run if isinstance(run, list | tuple) else () if run is None else (run,):
        run_folder(one, load_settings().runs_dir)
    return run


def existing_result(folder: str) -> str:
    """As `existing_run`, of a RUN or a BENCH."""
    from auditor.core.config import load_settings
    from auditor.runs.folders import result_folder

    result_folder(folder, load_settings().runs_dir)
    return folder


RunName = Annotated[
    str, Argument(metavar="RUN", callback=existing_run, help="Run folder, or its name in the runs folder.")
]
OptionalRun = Annotated[
    str | None, Argument(metavar="[RUN]", callback=existing_run, help="Run folder, or its name in the runs folder.")
]
Store = Annotated[str | None, Option(help="Verdict store: a file or postgresql://..; default: in the run folder.")]
Json = Annotated[bool, Option("--json", help="One JSON document on stdout.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No human text.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace files that exist.")]
DataDir = Annotated[Path | None, Option(help="Folder that holds named data sets.")]
Offline = Annotated[bool, Option("--offline", help="Download nothing.")]
Out = Annotated[Path | None, Option(help="Result folder; what it holds is continued.")]
Seed = Annotated[int, Option(help="Root of all random numbers.")]
Device = Annotated[str, Option(help="auto, cpu or cuda.")]
Workers = Annotated[int | None, Option(min=1, help="Processes side by side; never changes a result.")]
Engine = Annotated[str, Option(help="local, or ray for a cluster.")]
Address = Annotated[str | None, Option(help="With --engine ray: address of the cluster.")]
#: How much of a paper's recipe is run. Audits have another scale, smoke to standard, as --budget of find-errors.
BudgetClass = Annotated[
    str, Option("--budget-class", "--budget", help="How much is trained: smoke, cpu, hour, gpu10 or paper.")
]
#: Of what trains many networks on the way: a search, a grid.
SearchBudget = Annotated[
    str, Option("--budget-class", "--budget", help="How much is trained: smoke, cpu, gpu10 or paper.")
]
PaperData = Annotated[str, Option(help="Image data set with train and test.")]
ClassNames = Annotated[
    str | None, Option(help="Class names in column order: comma-separated, or a file with one per line.")
]
#: Columns of a data set, by role, as the options of `takes_roles` name them.
Roles = Mapping[str, str | None]
NO_ROLES: Final[Roles] = MappingProxyType({})
_ROLES: Final = {
    "label": Annotated[str | None, Option(metavar="COLUMN", help="Column of the labels; as ?label= in DATASET.")],
    "text": Annotated[str | None, Option(metavar="COLUMN", help="Column of the texts.")],
    "image": Annotated[str | None, Option(metavar="COLUMN", help="Column of the images, or of their paths.")],
    "columns": Annotated[str | None, Option(metavar="COLUMN,..", help="Feature columns of a table.")],
    "group": Annotated[str | None, Option(metavar="COLUMN", help="Column of groups: items of one never cross a fold.")],
    "id": Annotated[str | None, Option("--id", metavar="COLUMN", help="Column of unique ids.")],
}
PublishedVerdicts = Annotated[Path, Argument(metavar="FILE", help="Published verdicts (mturk.json).")]
Index = Annotated[Path | None, Option(help="index.json: what each row is called; imagenet and imdb need it.")]
Top = Annotated[int, Option(min=0, help="Suspects to show.")]


def takes_roles(command: Callable[..., Result]) -> Callable[..., Result]:
    """In the place of its parameter ``roles``, give a command the options that name the columns of a data set."""

    @functools.wraps(command)
    def with_options(*arguments: Any, **options: Any) -> Result:
        roles = {name: options.pop(name) for name in _ROLES}
        return command(*arguments, **options, roles=roles)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if parameter.name == "roles":
            parameters += [parameter.replace(name=name, default=None, annotation=_ROLES[name]) for name in _ROLES]
        else:
            parameters.append(parameter)
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options
