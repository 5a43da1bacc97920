"""Tuning of fusion weights and of vector graphs."""
