"""The index itself: its body, its documents, its size and its check."""
