"""Models on corrected labels: stored predictions and verdicts in, accuracies, ranks and their significance out."""
