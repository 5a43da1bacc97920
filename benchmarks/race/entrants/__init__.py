"""The systems of the race. Each module makes one `Entrant`, and imports nothing of the others."""
