"""Models on disk: manifests, checksums, catalogue and installation."""
