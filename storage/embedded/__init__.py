"""The embedded engine: SQLite holds the truth; tantivy, HNSW and columns are projections of it.

Reading order: record/ (schema, writing, reading), ../record/visibility.py, columns/, lexical/,
vectors/, projector.py, retrieval.py, engine.py.
"""
