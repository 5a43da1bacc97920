"""The rules by which customers are served: feeds, entitlements, topics, monitors, webhooks."""
