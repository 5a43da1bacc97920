"""A real OpenSearch cluster on this machine for tests, benchmarks and `make dev-cluster`."""
