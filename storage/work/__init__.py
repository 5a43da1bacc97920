"""Orders of work, the ledger, and limits that processes share."""
