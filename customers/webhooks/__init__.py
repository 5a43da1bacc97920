"""Webhooks: what is queued for which endpoint, when it is sent, and how it is signed."""
