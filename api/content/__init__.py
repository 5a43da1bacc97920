"""Single items and their media: read and written."""
