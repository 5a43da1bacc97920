"""Judged sets, in every layout that is read."""
