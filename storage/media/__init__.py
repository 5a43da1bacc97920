"""Files of media, where they lie, and which pictures look alike."""
