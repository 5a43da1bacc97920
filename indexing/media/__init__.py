"""How does a photo or a video become findable? A cage decodes it, and its shots are described.

file, stream ──> cage ──> frames ──> windows ──> shots ──> stills ──> captions ──> one Item
(child process)       (TransNetV2)                     (indexing.captions)
"""
