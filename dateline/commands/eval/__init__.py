"""`dateline eval`: judged sets, runs, comparisons and the gate."""
