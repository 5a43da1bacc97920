"""The work that is left of every ingest, the results computed so far, and limits shared by
processes.

    jobs ──> assets, in chunks ──> orders ──> leased by a worker ──> done: the next stage's orders
    jobs.py  jobs.py               jobs.py   orders.py              orders.py, one transaction

An order is a row: a stage for a chunk, or a job's sources to read. It is free, or leased until a
certain time. If a worker dies, its lease ends by itself, and the next worker takes the order. The
results of an order and the orders that follow are written in one transaction, so work that waits
always has an order. `jobs.py` takes over what earlier versions left undone; `ledger.py` keeps
what was computed.
"""
