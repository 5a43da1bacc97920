"""Comparisons of runs, significance tests and the gate."""
