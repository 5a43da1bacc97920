"""The cluster engine: a record of truth projected into OpenSearch.

An index holds the versions that stories show now, or will show at a known time; the record alone
holds the rest. Start with `engine.py`; `following/projector.py` says how an index follows it.
"""
