"""Which of these few is best? Scoring of query and passage pairs, within a deadline."""
