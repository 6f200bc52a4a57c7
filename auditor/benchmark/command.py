"""A whole benchmark from the options of one call: inputs, networks to train, result folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from auditor.benchmark.examples import examples
from auditor.benchmark.folder import refuse_strangers, write_result
from auditor.benchmark.inputs import Inputs, countable_only, load_inputs, verdict_facts
from auditor.benchmark.readers.registry import read_predictions
from auditor.benchmark.result import BenchmarkResult, to_document
from auditor.benchmark.run import benchmark, count_sets
from auditor.core.config import Settings
from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.runs import layout
from auditor.runs.run import open_run


@dataclass(frozen=True)
class BenchmarkDone:
    """What was found, as data and as the JSON document; `folder` is None where nothing was ranked. `examples` are
    corrected items, as in the report."""

    result: BenchmarkResult
    document: dict[str, Any]
    folder: Path | None
    examples: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        return repr(self.result)

    def _repr_html_(self) -> str:
        return self.result.html(self.examples)


def run_benchmark(
    settings: Settings,
    progress: Progress,
    *,
    reference: str | None = None,
    predictions: Path | None = None,
    labels: Path | None = None,
    verdicts: Path | None = None,
    patch: Path | None = None,
    run: str | None = None,
    agreement: int | None = None,
    index: Path | None = None,
    split: str | None = None,
    class_names: Sequence[str] | None = None,
    store: str | None = None,
    train: str | None = None,
    seeds: int = 3,
    budget: str = "cpu",
    device: str = "auto",
    workers: int | None = None,
    draws: int = 10_000,
    seed: int = 0,
    out: Path | None = None,
    command: str = "",
) -> BenchmarkDone:
    """Read, train where asked to, compare, and write the result folder.

    Parameters are the options of ``auditor benchmark`` (docs/cli.md). Errors as `inputs.load_inputs`,
    `readers.registry.read_predictions` and `run.benchmark`.
    """
    if train is not None and predictions is not None:
        raise UsageError("--train and --predictions both say which models are compared.", "Give one of them.")
    if train is not None and reference is None:
        raise UsageError("--train needs the data set to train on.", "For example: auditor benchmark cifar10 --train ..")
    ranked = predictions is not None or train is not None
    if not ranked and verdicts is not None and countable_only(verdicts, reference is None and labels is None):
        return _counts_alone(verdicts, agreement, index)
    inputs = load_inputs(
        settings,
        reference=reference,
        labels=labels,
        verdicts=verdicts,
        patch=patch,
        run=run,
        store=store,
        index=index,
        split=split,
        class_names=class_names,
    )
    if not ranked:
        result = count_sets(inputs.judged, inputs.given_labels, agreement)
        return BenchmarkDone(result, to_document(result), None)
    folder = out or _place(settings, inputs, run)
    refuse_strangers(folder)
    conditions: dict[str, Any] = {"command": command}
    if train is not None:
        from auditor.benchmark.training import parse_names, train_networks

        predictions = folder / "predictions"
        manifest = train_networks(
            cast(str, reference),
            parse_names(train),
            folder,
            seeds=seeds,
            budget=cast(Any, budget),
            device=device,
            workers=workers,
            settings=settings,
            progress=progress,
            command=command,
        )
        conditions |= {key: manifest[key] for key in ("budget", "reproduction", "seeds", "networks")}
        conditions["trained_on"] = manifest["data"]
    progress.stage("read", str(predictions))
    predicted = read_predictions(cast(Path, predictions), inputs.given_labels)
    result = benchmark(
        predicted,
        inputs.judged,
        inputs.given_labels,
        agreement=agreement,
        draws=draws,
        seed=seed,
        dataset=inputs.name,
        conditions=conditions,
        progress=progress,
    )
    document = to_document(result)
    report = write_result(folder, document, examples(inputs, predicted, result.agreement))
    return BenchmarkDone(result, document, folder, report.examples)


def _counts_alone(path: Path, agreement: int | None, index: Path | None) -> BenchmarkDone:
    """Verdicts without labels: the counts, and null for everything that needs rows."""
    facts = verdict_facts(path, 3 if agreement is None else agreement, None, index, None, None)
    result = BenchmarkResult(
        path.parent.name or path.stem,
        "",
        {"kind": "published"},
        facts["agreement"],
        facts["counts"],
        notes=("no labels were given: the sets of benign and correctable rows are not known",),
    )
    return BenchmarkDone(result, to_document(result), None)


def _place(settings: Settings, inputs: Inputs, run: str | None) -> Path:
    if run is not None:
        return open_run(run, settings.runs_dir).path / layout.BENCHMARK
    return settings.runs_dir / f"benchmark-{inputs.name}"
