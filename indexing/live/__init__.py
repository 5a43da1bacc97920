"""A live source as an item: told while it runs, recorded, and archived when it ends."""
