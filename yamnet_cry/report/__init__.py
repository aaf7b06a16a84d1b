"""Results for people and other programs: text, tables and pictures."""
