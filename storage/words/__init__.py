"""How every engine reads words, names and subjects."""
