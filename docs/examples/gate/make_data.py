"""Write the data of this example: scikit-learn's 1,797 handwritten digits as a table with a train and a test split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sklearn.datasets import load_digits


def main() -> None:
    digits = load_digits()
    table = pd.DataFrame(digits.data.astype(int), columns=[f"pixel{i:02d}" for i in range(64)])
    table.insert(0, "id", [f"digit-{i:04d}" for i in range(len(table))])
    table.insert(1, "label", [f"digit {k}" for k in digits.target])
    table.insert(2, "split", ["test" if i % 5 == 4 else "train" for i in range(len(table))])
    Path("data").mkdir(exist_ok=True)
    table.to_csv("data/digits.csv", index=False)


if __name__ == "__main__":
    main()
