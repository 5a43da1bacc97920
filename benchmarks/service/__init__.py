"""The service under load, and what customers get of it: the feed, topics and webhooks."""
