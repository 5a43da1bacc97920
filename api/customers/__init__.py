"""Routes of our own for customers and their administrators, beside the contract of AP Media API."""
