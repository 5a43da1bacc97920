"""Figures: each module is a command that prints its own and the machine's."""
