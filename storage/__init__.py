"""What do we know, and how is it found again? One record of truth, and engines that search it."""
