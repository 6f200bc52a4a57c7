"""The main job: data -> folds -> training -> out-of-sample probabilities -> findings -> run folder."""
