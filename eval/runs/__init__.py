"""Runs: judged queries are asked, answers are measured and kept."""
