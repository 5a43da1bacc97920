"""What a search costs: of its stages, by the size of the archive, and against the stock path."""
