"""Do to the data what the gate must notice: ``leak`` or ``labels``.

``leak`` copies a test item into the training split. ``labels`` gives 120 training items in a row the label of the next
digit, as a slipped column in a spreadsheet would.
"""

from __future__ import annotations

import sys

import pandas as pd

FILE = "data/digits.csv"


def main() -> None:
    what = sys.argv[1]
    table = pd.read_csv(FILE)
    if what == "leak":
        copy = table[table["split"] == "test"].iloc[[0]].assign(id="digit-new", split="train")
        table = pd.concat([table, copy], ignore_index=True)
    elif what == "labels":
        block = table.index[table["split"] == "train"][400:520]
        digit = table.loc[block, "label"].str.removeprefix("digit ").astype(int)
        table.loc[block, "label"] = [f"digit {(k + 1) % 10}" for k in digit]
    else:
        raise SystemExit(f"unknown damage {what!r}: leak or labels")
    table.to_csv(FILE, index=False)


if __name__ == "__main__":
    main()
