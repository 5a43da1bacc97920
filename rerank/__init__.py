"""Which of these few is best? Scores pairs of query and passage within a deadline."""
