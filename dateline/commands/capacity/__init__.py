"""`dateline capacity`: which machines, how many, at what cost."""
