"""One model and many callers: queues, batches and models elsewhere."""
