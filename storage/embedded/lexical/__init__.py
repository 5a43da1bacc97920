"""The lexical index, with tantivy."""
