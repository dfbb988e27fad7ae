"""Evaluation: predictions, metrics, and photos of the user's own."""
