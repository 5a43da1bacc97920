"""`dateline tune`: fusion, graphs and growth."""
