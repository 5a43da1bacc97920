"""What runs inside the cage: containers, pictures and frames are decoded here."""
