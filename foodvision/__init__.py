"""FoodVision: experiment plans, compiled."""

__version__ = "0.1.0"
