"""Tables about customers, beside the record: one text for SQLite and Postgres."""
