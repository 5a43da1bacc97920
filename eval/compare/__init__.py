"""Comparisons, significance and the gate."""
