"""The stages of an ingest of media; each works on the assets of a chunk."""
