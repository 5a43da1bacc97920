"""Searches of the index, and how their replies are read."""
