"""Which parts, on this machine? Settings, composition and the command line."""

import os

from dateline.serving.memory_limit import refuse_too_little

refuse_too_little()
# Products of one query with a few hundred passages are too small to share among threads: a BLAS
# with several threads makes them wait for cores that the encoder and tantivy use. Read when numpy
# loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
