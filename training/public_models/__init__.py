"""Public models: read from a folder, exported, made smaller, and compared."""
