"""Rules of accounts: who may read what, by which key, how much, and what a download costs."""
