"""The vectors of passages: segments on disk and a tail in memory."""
