"""Ports: what each room needs from the others. They have few methods, which take whole batches.
Only `dateline/build/` knows which class implements a port.
"""
