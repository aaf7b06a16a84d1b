"""Monitoring at home: sources that are listened to for months, and outlets for their events."""
