"""The embedded engine: SQLite is the record of truth; tantivy, HNSW and columns are projections.

Reading order: record/ (schema, writing, reading), ../record/visibility.py, columns/, lexical/,
vectors/, projector.py, retrieval.py, engine.py.
"""
