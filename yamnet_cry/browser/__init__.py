"""The page that runs in the visitor's own browser: its files, and how they are served."""
