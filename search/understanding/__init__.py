"""What was asked: the query language, dates and names in plain words, synonyms, spelling."""
