"""Files of media, and where they lie."""
