"""Photos, videos and shots: what ingest costs, and how well cuts are found."""
