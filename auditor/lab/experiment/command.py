"""The frame of every command that runs an experiment: the options all of them share, and what is done with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.cli.options import DataDir, Json, Out, Quiet, Workers

if TYPE_CHECKING:
    from auditor.lab.experiment.shell import Experiment

#: An experiment, the name of its folder among the runs, and the lines for people on its document and its folder.
Prepared = tuple["Experiment", str, Callable[[dict[str, Any], Path], list[str]]]


def experiment_command(prepare: Callable[..., Prepared]) -> Callable[..., None]:
    """The command of what `prepare` makes of its own options; it gets those of the shared ones that it names, too."""

    def command(
        out: Out = None, workers: Workers = None, data_dir: DataDir = None, json: Json = False, quiet: Quiet = False
    ) -> None:
        """Replaced by that of `prepare`."""

    own, shared = (inspect.signature(f, eval_str=True).parameters for f in (prepare, command))

    def run(*args: Any, **given: Any) -> None:
        from auditor.cli.console import answer, command_line
        from auditor.cli.values import settings_for
        from auditor.core.display import shown
        from auditor.lab.experiment.shell import Workplace

        at = {name: given.get(name, option.default) for name, option in shared.items()}
        experiment, name, lines = prepare(*args, **{key: given[key] for key in given if key in own})
        settings = settings_for(at["data_dir"])
        folder = at["out"] or settings.runs_dir / name
        with shown(not at["quiet"]) as progress:
            place = Workplace(folder, settings, progress, at["workers"], command_line(), folder / experiment.fits)
            document = experiment.run(place)
        answer(lines(document, folder), document if at["json"] else None, at["quiet"])

    run.__name__, run.__doc__, run.__annotations__ = prepare.__name__, prepare.__doc__, {}
    run.__signature__ = inspect.Signature(list({**own, **shared}.values()))  # type: ignore[attr-defined]
    return run
