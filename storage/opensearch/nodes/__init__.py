"""Connections to the cluster's nodes, and points in time of an index."""
