"""Rerankers: what they learn from, how they learn, and what judges them."""
