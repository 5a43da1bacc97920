"""Models that a package carries in a form of its own, turned into a graph and a tokenizer."""
