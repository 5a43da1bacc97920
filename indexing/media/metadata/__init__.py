"""The metadata of a media file, in it or beside it."""
