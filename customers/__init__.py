"""Rules of what customers are served: feeds, entitlements, topics, monitors, webhooks."""
