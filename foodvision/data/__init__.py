"""Where images come from, which of them a cell takes, and how they become rows for a model."""
