"""What was asked: reads the query language, dates and names in plain words, synonyms
and spelling.
"""
