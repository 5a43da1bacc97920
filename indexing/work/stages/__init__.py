"""The stages of an ingest of media, each over the assets of a chunk."""
