"""Passages as vectors: segments on disk and a tail in memory."""
