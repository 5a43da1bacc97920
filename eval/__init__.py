"""Is it any good? Judged collections, measures, and runs of the pipeline that serves."""
