"""Reads and writes of single items and their media."""
