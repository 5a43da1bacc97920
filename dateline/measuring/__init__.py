"""The work of evaluation, of tuning and of the benches of models."""
