"""The embedded engine: SQLite holds the truth; tantivy, HNSW and columns are projections of it.

Reading order: schema.py, documents.py, record.py, ../visibility.py, columns.py, lexical.py,
vector_view.py, segment_manifest.py, segments.py, projector.py, retrieval.py, allowed.py,
../stories.py, engine.py.
"""
