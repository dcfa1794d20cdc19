"""Provisions, rehearses and recovers the scaled Watoto LMS."""

from __future__ import annotations

__version__ = "0.1.0"
