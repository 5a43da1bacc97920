"""Searches and suggestions over HTTP."""
