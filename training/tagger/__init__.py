"""The tagger's corpora and training loop; `training.ner` is its recipe."""
