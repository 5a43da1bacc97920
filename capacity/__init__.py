"""Which machines, how many, at what cost: from measured service times to a fleet and its bill.

    measurements + demand ──> service_model ──> simulator ──> plan ──> report
                              instances, prices ────────────────┘

Values in, values out: nothing here starts a service or asks a network. `dateline/measuring/` makes
the measurements, and `dateline/commands/capacity/` has the commands.
"""
