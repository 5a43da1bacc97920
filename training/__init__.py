"""Where do the bundled models come from? Recipes that make them again; see README.md."""
