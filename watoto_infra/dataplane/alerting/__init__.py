"""Alerts of a local stack: which fire, and drills that make one fire by a true cause."""
