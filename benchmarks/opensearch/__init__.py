"""OpenSearch as the engine: cost, growth and quality beside the embedded engine."""
