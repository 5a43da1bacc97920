"""How does a backfill of millions go on after every crash, and never do a thing twice?

    read ──> decode ──> describe ──> apply        each a durable queue of chunks
    sources   facts,     captions     Item, vectors,
              shots,                  the record of truth
              stills

An order says which stage of which chunk; what is left to do in it stands in the jobs' own table
(`storage/work/`), and what was computed already in the ledger. So an order that is carried out
twice does nothing the second time, and a process may be killed at any moment.
"""
