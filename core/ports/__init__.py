"""Ports: what each room asks of the others. They have one or two methods, and the batch is the
unit. Only `dateline/build/` knows which class implements a port.
"""
