"""Requests to the models themselves."""
