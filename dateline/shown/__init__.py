"""What commands print: tables, pages and progress."""
