"""The cluster's nodes, and points in time of an index."""
