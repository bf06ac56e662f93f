"""Tables: the columns that the server prints for each kind."""
