"""Weights of fusion and reranking: gathered features, the choice, and how sure it is."""
