"""The shot model's graphs, in float32 and int8, and the clips that check them."""
