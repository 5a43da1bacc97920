"""The record of truth in any database: its port, its rules, and who may see what."""
