"""How does a backfill of millions continue after every crash, and do nothing twice?

    read ──> decode ──> describe ──> apply        each a durable queue of chunks
    sources   facts,     captions     Item, vectors,
              shots,                  the record of truth
              stills

An order names a stage and a chunk. The jobs' own table (`storage/work/`) says what is left to do in
the chunk, and the ledger what was computed already. So an order that is carried out twice does
nothing the second time, and a process may be killed at any moment.
"""
