"""Graphs over unit vectors: what a sealed segment of a vector field is searched by.

Reading order: settings.py, kept.py, links.py, storages.py, faiss_hnsw.py, hnswlib_hnsw.py,
graph.py, builders.py.
"""
