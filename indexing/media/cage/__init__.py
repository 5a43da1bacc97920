"""The cage: processes that decode media without network, files and most system calls."""
