"""Pictures, TensorBoard files and tables of what a plan found; all take plain data."""
