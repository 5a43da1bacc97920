"""Composition: a page for each thing that runs. Only these modules name concrete classes."""
