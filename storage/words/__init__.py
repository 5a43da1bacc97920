"""Words, names and subjects as every engine reads them."""
