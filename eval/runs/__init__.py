"""Runs: asks judged queries, measures the answers and keeps the results."""
