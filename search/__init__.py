"""What did they ask, and what answers it? The query path, from words to one page of stories."""
