"""Composition of the models, and of what runs them."""
