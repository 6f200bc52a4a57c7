"""Names, schema versions and columns of the run folder. `docs/run-folder.md` explains them to people."""

from __future__ import annotations

import re
from typing import Final

#: Version of the whole layout. The number after the slash rises when a reader of the old layout would break.
RUN_SCHEMA: Final = "auditor.run/1"

CONFIG: Final = "config.json"  # what was asked for; written first
ITEMS: Final = "items.parquet"  # who the items are
DATA: Final = "data.parquet"  # items and contents, where only memory held them (auditor.data.stored)
PRED_PROBS: Final = "pred_probs.npy"  # float32 (n audited, K)
MODEL_PROBS: Final = "model_probs.npz"  # as pred_probs.npy, of each model alone, where two were trained
PREDICTIONS: Final = "predictions.npy"  # float32 (n audited, outputs), of labels that are no classes
AUDITED: Final = "audited.npy"  # int64 (n audited,): row of each in items.parquet
FOLDS: Final = "folds.parquet"  # one row per training task and epoch
DYNAMICS: Final = "dynamics.npz"  # per-item logits by epoch, where a trainer has epochs
REFIT_PROBS: Final = "refit_probs.npy"  # as pred_probs.npy, after the last refit
REFIT_MODEL_PROBS: Final = "refit_model_probs.npz"  # as model_probs.npz, after the last refit
SECOND_ROUND: Final = "second_round.npy"  # of older folders: as pred_probs.npy, after an accepted cleaning round
EMBEDDINGS: Final = "embeddings.npy"  # float16 or float32 (n audited, d), where they were computed
CLASS_EMBEDDINGS: Final = "class_embeddings.npy"  # float32 (K, d), class names in the same space, where it has texts
DETECTORS: Final = "detectors.parquet"  # every audited item with every detector; made when first asked for
NEIGHBOURS: Final = "neighbours.npz"  # nearest items and the confident joint; made with the detectors
SCORES: Final = "scores.parquet"  # every audited item with every score, ranked
FINDINGS: Final = "findings.parquet"  # the flagged items
P_WRONG: Final = "p_wrong.parquet"  # calibrated P(label wrong) of every audited item; made by estimate --write
QUALITY: Final = "quality.json"  # outcome of every data-quality check
QUALITY_ITEMS: Final = "quality.parquet"  # every item of every check that found something
REPORT: Final = "report.html"
MANIFEST: Final = "manifest.json"  # written last; no manifest, not finished
STAGES: Final = "stages"  # one record per finished stage
TASKS: Final = "tasks"  # checkpoints and results of the training tasks
SECOND: Final = "second-"  # begins the names of the second model's tasks
BENCHMARK: Final = "benchmark"  # made by benchmark --run, which writes its own manifest last
BENCHMARK_MANIFEST: Final = "benchmark-manifest.json"
IMPROVEMENT: Final = "improvement"  # made by improve: the result, its report and the fits
IMPROVEMENT_RESULT: Final = "improvement.json"
IMPROVEMENT_REPORT: Final = "report.md"
WORK: Final = "work"  # derived data that can be deleted and rebuilt
SUSPECTS: Final = WORK + "/suspects.json"  # pictures and texts of the first suspects, as the report shows them
MAP_PCA: Final = WORK + "/map-pca.npy"  # float32 (n audited, 2), as the reviewer's map places the items
MAP_NEIGHBOURS: Final = WORK + "/map-neighbours.npz"  # nearest items, from which UMAP starts
MAP_UMAP: Final = WORK + "/map-umap.npy"  # as map-pca.npy, by UMAP, where it is installed
SELECTIONS: Final = WORK + "/selections"  # items picked on the map, a file for each set
CATALOGUE: Final = WORK + "/catalogue-{}.parquet"  # a verdict store's list as columns, by its `VerdictStore.list_id`
LOCK: Final = "run.lock"
#: Paths in the folder that only a run writes, so that starting anew may remove them.
WRITTEN: Final = re.compile(
    "|".join(
        re.escape(name)
        for name in (
            *(
                CONFIG,
                ITEMS,
                DATA,
                PRED_PROBS,
                MODEL_PROBS,
                PREDICTIONS,
                AUDITED,
                FOLDS,
                DYNAMICS,
                REFIT_PROBS,
                REFIT_MODEL_PROBS,
                SECOND_ROUND,
                EMBEDDINGS,
                CLASS_EMBEDDINGS,
                DETECTORS,
                NEIGHBOURS,
            ),
            *(SCORES, FINDINGS, P_WRONG, QUALITY, QUALITY_ITEMS, REPORT, MANIFEST),
        )
    )
    + rf"|{STAGES}/[\w-]+\.json|{TASKS}/results/[^/]+\.(json|npz)|{TASKS}/(checkpoints/[0-9a-f]{{16}}|shared)/.+"
    rf"|{WORK}/(images|groups)\.npy|{re.escape(SUSPECTS)}|{WORK}/embeddings/[0-9a-f]{{32}}/.+|{WORK}/pictures/[0-9a-f]{{2}}/.+"
    rf"|{WORK}/map-\w+\.np[yz]|{SELECTIONS}/[0-9a-f]{{32}}\.npy"
    rf"|{WORK}/catalogue-[0-9a-f]{{32}}\.parquet"
)

#: Stable codes; those of labels that are no classes are in `auditor.kinds`. A code never changes its meaning; a retired
#: code is never used again.
CODES: Final = {"LE001": "the model prefers another class than the given label", "DQ001": "the item cannot be decoded"}

#: Columns of findings.parquet, in order.
FINDING_COLUMNS: Final = (
    "rank",
    "id",
    "index",
    "split",
    "code",
    "given",
    "suggested",
    "p_given",
    "p_suggested",
    "score",
    "message",
)
