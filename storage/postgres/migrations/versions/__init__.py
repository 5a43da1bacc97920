"""One module for each change of the tables, in the order of their numbers. None has a `downgrade`:
a record goes back by the backup that was made before the upgrade.
"""
