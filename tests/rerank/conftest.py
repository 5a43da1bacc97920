from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # other jobs may have the processor
settings.load_profile("unhurried")
