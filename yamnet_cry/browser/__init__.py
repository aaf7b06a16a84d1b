"""The page that runs in the visitor's browser: its files, and a server for them."""
