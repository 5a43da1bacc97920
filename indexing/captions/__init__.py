"""What does a picture show? A model gets a still, and its caption is checked.

still ──> rights, size ──> spend, rates, breaker ──> provider ──> strict JSON ──> Caption
          (`rights`)       (`calls`)                 (`provider`)   (`answer`)
"""
