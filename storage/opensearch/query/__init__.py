"""Questions to the index, and what its answers mean."""
