"""Which media files there are: folders, stores and manifests."""
