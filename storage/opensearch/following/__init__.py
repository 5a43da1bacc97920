"""How the index follows the record of truth."""
