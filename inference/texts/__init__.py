"""Texts to token numbers, and a graph's outputs to answers."""
