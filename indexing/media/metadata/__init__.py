"""What a media file, or a file beside it, says of itself."""
