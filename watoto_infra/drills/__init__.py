"""Drills: a fault is brought about for real, and what is promised of it is measured."""
