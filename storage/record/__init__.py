"""The record of truth, whatever keeps it: its port, its rules, and who may see what."""
