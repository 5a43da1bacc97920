"""The record of truth in SQLite."""
