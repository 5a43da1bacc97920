"""What is left to do of every ingest, what was computed already, and limits that processes share.

    jobs ──> assets, in chunks ──> orders ──> leased by a worker ──> done: the next stage's orders
    jobs.py  jobs.py               changes.py orders.py              changes.py, one transaction

An order is a row: a stage for a chunk, or a job's sources to read. It is free, or leased until a
moment. A worker that ends without a word leaves a lease that ends by itself, and the next worker
takes the order. What an order did and what follows it are written in one transaction, so whatever
waits has its order at every moment. `old_orders.py` takes over what earlier versions left undone;
`ledger.py` is what was computed.
"""
