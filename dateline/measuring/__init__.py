"""What evaluation, tuning and the benches of models run."""
