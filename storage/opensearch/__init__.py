"""The cluster engine: a record of truth projected into OpenSearch.

An index holds what stories show now or will show by themselves; everything else is the record's.
Start with `engine.py`; `projector.py` says how an index follows the record.
"""
