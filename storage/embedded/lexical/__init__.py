"""The lexical index, by tantivy."""
