"""The race: Dateline and other systems answer the same judged queries on one machine in one run.

`handed` makes what every system is given, `entrant` is the loop that each of them runs in a process
of its own, `entrants/` are the systems, `systems` is the table of them, `sums` counts, `page` and
`figure` show.
"""
