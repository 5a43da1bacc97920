"""The record of truth on Postgres (`storage.record.port`), for workers and services on many hosts,
and other data that hosts share. Needs the extra [postgres].

Reading order: connections.py, failures.py, tables.py, migrations/, schema.py, reads.py, writes.py,
puts.py, followers.py, record.py; candidate_lists.py, media_roots.py.
"""
