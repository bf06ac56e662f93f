"""Priority and fairness: which requests run now, which wait in which queue, and which are told to come again."""
