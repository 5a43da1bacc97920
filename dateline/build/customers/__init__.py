"""Composition of the parts that serve customers and tell them of transitions."""
