"""Facts of items as columns: filters, facets and names."""
