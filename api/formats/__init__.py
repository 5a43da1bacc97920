"""The forms in which an item is given out: AP's content item, ninjs, NITF and plain text.

Each is a function from an item, and what the guard lets through of its document, to a value.
"""
