"""How does an asset become findable? Read, check, cut into passages, embed, write.

sources ──> ninjs, beir ──> ingest ──> passages ──> the record of truth (core.ports.Writer)
(files)     (one document)  (batches)  (vectors)
"""
