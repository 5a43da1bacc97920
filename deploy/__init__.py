"""Puts Dateline where it runs: each module is a program that needs no installed Dateline."""
