"""The sources of media files: folders, stores and manifests."""
