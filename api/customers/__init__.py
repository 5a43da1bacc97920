"""Routes of our own for customers, beside the contract of AP Media API."""
