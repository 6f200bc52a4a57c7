"""FTWT: filters switched off per image by small predictors."""
