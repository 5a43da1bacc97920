"""Graphs over unit vectors, for searches of the sealed segments of a vector field.

Reading order: settings.py, kept.py, faiss_hnsw.py, hnswlib_hnsw.py, faiss_gpu.py, graph.py,
builders.py.
"""
