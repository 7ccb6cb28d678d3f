"""The terminal: `steiner solve` and `steiner chat`, which show the search as it is made."""
