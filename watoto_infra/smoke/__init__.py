"""The smoke suite: whether an LMS does what its users need, asked over HTTP as they ask."""
