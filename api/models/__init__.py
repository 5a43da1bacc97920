"""Models that are asked directly."""
