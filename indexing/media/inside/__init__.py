"""Decodes containers, pictures and frames inside the cage."""
