"""The `steiner` command: its options, its commands and the display of a search in a terminal."""
