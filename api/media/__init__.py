"""AP Media API 2.2 under `/media/v`, to the letter of its contract."""
