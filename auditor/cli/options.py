"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

RunName = Annotated[str, Argument(metavar="RUN", help="Run folder, or its name in the runs folder.")]
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
    str, Option("--budget-class", "--budget", help="How much is trained: smoke, cpu, gpu10 or paper.")
]
PaperData = Annotated[str, Option(help="Image data set with train and test.")]
ClassNames = Annotated[
    str | None, Option(help="Class names in column order: comma-separated, or a file with one per line.")
]
Label = Annotated[str | None, Option(metavar="COLUMN", help="Column of the labels; as ?label= in DATASET.")]
Text = Annotated[str | None, Option(metavar="COLUMN", help="Column of the texts.")]
Image = Annotated[str | None, Option(metavar="COLUMN", help="Column of the images, or of their paths.")]
Columns = Annotated[str | None, Option(metavar="COLUMN,..", help="Feature columns of a table.")]
Group = Annotated[str | None, Option(metavar="COLUMN", help="Column of groups: items of one never cross a fold.")]
Id = Annotated[str | None, Option("--id", metavar="COLUMN", help="Column of unique ids.")]
PublishedVerdicts = Annotated[Path, Argument(metavar="FILE", help="Published verdicts (mturk.json).")]
Index = Annotated[Path | None, Option(help="index.json: what each row is called; imagenet and imdb need it.")]
Top = Annotated[int, Option(min=0, help="Suspects to show.")]
