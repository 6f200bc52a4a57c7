"""An experiment: its expectation is written before it runs, every claim stands beside a control, and its report is
written in one way, the manifest last."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, get_args

from auditor.core.config import Settings, load_settings
from auditor.core.errors import AuditorError, UnreadableError, UsageError
from auditor.core.files import atomic_write, read_json, write_json
from auditor.core.hashing import hash_bytes
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress, SilentProgress
from auditor.runs.lock import locked
from auditor.train.budget import NOT_A_REPRODUCTION, BudgetClass, check_budget_class

RESULTS, PLAN, MANIFEST, FITS = "results.json", "plan.json", "manifest.json", "fits"


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions:
    """What every experiment is asked for.

    Attributes
    ----------
    data : str
        Image data set with train and test.
    budget : str
        Budget class.
    seeds : int
        Repetitions, with the seeds 0 .. seeds - 1.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    data: str = "cifar10"
    budget: BudgetClass = "cpu"
    seeds: int = 3
    device: str = "auto"
    #: Budget classes that the experiment has.
    budgets: ClassVar[tuple[str, ...]] = get_args(BudgetClass)

    def __post_init__(self) -> None:
        check_budget_class(self.budget, self.budgets)
        if self.seeds < 1:
            raise UsageError(f"--seeds must be at least 1, not {self.seeds}.")


@dataclass(frozen=True)
class Workplace:
    """Where an experiment runs; nothing here changes a result.

    Attributes
    ----------
    folder : Path
        Gets the report.
    settings : Settings
    progress : Progress
    workers : int or None
        Fits side by side; one per core for None.
    command : str
        For the record.
    fits : Path
        Stored fits, which are not repeated; ``fits/`` in `folder` by default.
    """

    folder: Path
    settings: Settings = field(default_factory=load_settings)
    progress: Progress = field(default_factory=SilentProgress)
    workers: int | None = None
    command: str = ""
    fits: Path = Path()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "fits", self.folder / FITS if self.fits == Path() else Path(self.fits))

    @property
    def processes(self) -> int:
        """`workers`, counted."""
        return self.workers or cpu_count()


class Experiment(ABC):
    """One experiment. A subclass measures and renders; everything else is the same for all.

    Attributes
    ----------
    schema : str
        Of its document, e.g. ``auditor.prune/1``.
    expectation : str
        What is expected, in words that the result can contradict.
    control : str
        The null or the control that every claim is compared with.
    options : ExperimentOptions
    fits : str
        Folder of its stored fits in a new `Workplace`.
    """

    schema: ClassVar[str]
    expectation: ClassVar[str]
    control: ClassVar[str]
    fits: ClassVar[str] = FITS
    options: ExperimentOptions

    @abstractmethod
    def measure(self, at: Workplace) -> dict[str, Any]:
        """Train and measure: the document without its conditions. What it gives for a condition stands in its place."""

    @classmethod
    @abstractmethod
    def render(cls, document: Mapping[str, Any]) -> dict[str, str]:
        """File name -> text of the report of `document`: its page and its figures."""

    @classmethod
    def files(cls, document: Mapping[str, Any]) -> Iterable[str]:
        """What `measure` wrote into the folder that belongs to the report."""
        return ()

    def reproduction(self) -> str:
        """What stands beside its numbers; a budget class alone makes none a reproduction."""
        return NOT_A_REPRODUCTION

    def run(self, at: Workplace) -> dict[str, Any]:
        """Run it, and write ``plan.json`` first and ``results.json``, the pages, the figures and the manifest last.

        Finished fits are not repeated; a killed run continues from its last epoch.

        Returns
        -------
        dict
            The document of ``results.json``.
        """
        plan = {"expectation": self.expectation, "control": self.control}
        with locked(at.folder), _unchanged_where_refused(at.folder):
            (at.folder / MANIFEST).unlink(missing_ok=True)
            write_json(at.folder / PLAN, {"schema": "auditor.plan/1", "result": self.schema, **plan})
            document = {
                "schema": self.schema,
                **plan,
                "budget": self.options.budget,
                "reproduction": self.reproduction(),
                "seeds": self.options.seeds,
                "command": at.command,
                "machine": describe_machine(),
                "versions": package_versions(),
                **self.measure(at),
            }
            write_report(at.folder, document, self.render(document), [PLAN, *self.files(document)])
        return document

    @classmethod
    def rewrite(cls, folder: Path) -> None:
        """Write the pages, figures and manifest of a finished run again from its ``results.json``.

        Raises
        ------
        UnreadableError
            If the folder holds no results of this experiment.
        """
        document = read_json(folder / RESULTS)
        if not isinstance(document, dict) or document.get("schema") != cls.schema:
            raise UnreadableError(f"{str(folder / RESULTS)!r} holds no results of schema {cls.schema}.")
        kept = [name for name in (PLAN, *cls.files(document)) if (folder / name).is_file()]
        write_report(folder, document, cls.render(document), kept)


@contextmanager
def _unchanged_where_refused(folder: Path) -> Iterator[None]:
    """Leave a finished result as it was where the call is refused, unless one of its files was written before that."""
    before = {name: path.read_bytes() for name in (PLAN, MANIFEST) if (path := folder / name).is_file()}
    try:
        yield
    except AuditorError:
        for name, content in before.items():  # the manifest last
            if name != MANIFEST or _whole(folder, content):
                with atomic_write(folder / name) as handle:
                    handle.write(content)
        raise


def _whole(folder: Path, manifest: bytes) -> bool:
    files = json.loads(manifest).get("files", {})
    return all((folder / n).is_file() and hash_bytes((folder / n).read_bytes()) == h for n, h in files.items())


def write_report(
    folder: Path, document: Mapping[str, Any], texts: Mapping[str, str], others: Iterable[str] = (), **facts: Any
) -> None:
    """Write ``results.json`` and `texts`, then the manifest with the hash of these files and of `others`."""
    write_json(folder / RESULTS, dict(document))
    for name, text in texts.items():
        with atomic_write(folder / name) as handle:
            handle.write(text.encode())
    name, _, version = str(document["schema"]).rpartition("/")
    files = {n: hash_bytes((folder / n).read_bytes()) for n in dict.fromkeys([RESULTS, *texts, *others])}
    manifest = {"schema": f"{name}-folder/{version}", "result": document["schema"], **facts, "files": files}
    write_json(folder / MANIFEST, manifest)
