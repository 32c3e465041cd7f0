"""From a config to trained parameters: rounds, the loop, workers, evaluation, the checkpoint."""
