"""What did they ask, and what answers it? The query path, from the query to one page of stories."""
