"""What models cost, bare and over HTTP, and against stock libraries."""
