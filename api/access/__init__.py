"""Who may ask, how much, and in which thread the work runs."""
