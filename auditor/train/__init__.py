"""Out-of-sample probabilities: folds, recipes, the one training loop, cross-validation."""
