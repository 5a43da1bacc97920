"""Readers of judged sets, in every supported layout."""
