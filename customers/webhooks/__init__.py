"""Webhooks: which messages are queued for which endpoint, when they are sent, and how they are
signed.
"""
