"""How does a photo or a video become findable? Decoded in a cage, cut into shots, looked at.

file, stream ──> cage ──> frames ──> windows ──> shots ──> stills ──> captions ──> one Item
(child process)       (TransNetV2)                     (indexing.captions)
"""
