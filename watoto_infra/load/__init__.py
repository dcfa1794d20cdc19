"""Load on the LMS: scenarios for Locust, and what they must reach."""
