"""Composition of what customers are served and told."""
