"""Vector graphs: what a sweep measures, how a graph grows, and what is recommended."""
