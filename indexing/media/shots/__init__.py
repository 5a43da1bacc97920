"""Frames become shots, and shots get stills."""
