"""Tuning of fusion and of vector graphs."""
