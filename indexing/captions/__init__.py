"""What does a picture show? A still goes to a model, and a checked caption comes back.

still ──> rights, size ──> spend, rates, breaker ──> provider ──> strict JSON ──> Caption
          (`gate`)         (`calls`)                 (`provider`)   (`answer`)
"""
