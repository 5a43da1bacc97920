"""The systems of the race. Each module makes one `Entrant`. Dateline's share the constants here."""

PREFIX = "urn:race:"  # of a document's uri
PRODUCTS = ("race",)
