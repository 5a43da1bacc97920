"""Judgements by people: what is pooled for them, what they gave, and how far they agree."""
