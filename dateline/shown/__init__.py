"""The output of commands: tables, pages and progress."""
