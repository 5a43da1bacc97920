"""Dates in queries: as fields take them (written.py), and in plain words.

finder.py finds them. phrases.py reads a date with the words around it; absolute.py and relative.py
read the points in time that it names. calendar.py has the caller's time and place, and names.py the
names that look like dates. docs/query-language.md has the rules with examples.
"""

from search.understanding.dates.calendar import Calendar, calendar_of
from search.understanding.dates.finder import FoundDate, find_dates
from search.understanding.dates.written import parse_span

__all__ = ["Calendar", "FoundDate", "calendar_of", "find_dates", "parse_span"]
