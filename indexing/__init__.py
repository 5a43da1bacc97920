"""How does an asset become findable? Documents are read, checked, cut into passages and written.

sources ──> ninjs, beir ──> ingest ──> passages ──> the record of truth (core.ports.engine.Writer)
(files)     (one document)  (batches)  (vectors)
"""
