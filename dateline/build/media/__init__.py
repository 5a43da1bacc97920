"""Composition of photos and videos: captions, shots, stills, and the work on them."""
