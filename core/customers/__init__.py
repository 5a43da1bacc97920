"""The words about customers: accounts, transitions, followed topics, monitors and webhooks."""
