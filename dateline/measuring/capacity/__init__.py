"""Measures what a plan of capacity needs, on this machine: `dateline capacity measure`."""
