"""`dateline models`: a module for each part of the group."""
