"""The words about customers: accounts, transitions, and what tells them of transitions."""
