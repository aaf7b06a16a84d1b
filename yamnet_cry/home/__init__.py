"""A home that listens: sources that go on for months, and what becomes of their events."""
