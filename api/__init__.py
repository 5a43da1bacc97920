"""Who may ask, and how: HTTP for customers, the agency's own systems, operators and one page."""
