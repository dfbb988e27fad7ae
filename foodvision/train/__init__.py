"""Training: optimizers, the epoch loop, snapshots, and what makes them repeatable to the bit."""
