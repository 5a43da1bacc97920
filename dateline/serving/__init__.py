"""The service as a process: sockets, searchers, logs and keys."""
