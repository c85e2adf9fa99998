"""Training: configuration, pixels, batches, optimiser, loop, checkpoints, evaluation."""
