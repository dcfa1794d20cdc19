"""Three levels of caching: in the process, in Redis, and by response headers."""

from lms_app.caching.caches import COURSES, Caches, course, user

__all__ = ["COURSES", "Caches", "course", "user"]
