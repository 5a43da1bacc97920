"""The words of Dateline: frozen types, trees, errors and ports.

Imports numpy and the standard library only.
"""
