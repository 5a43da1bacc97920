"""Files of media, their places, and which pictures look alike."""
