"""What gunicorn serves: `lms_app.wsgi:app`."""

from lms_app.app import create_app
from lms_app.observability import logs
from lms_app.settings import load_settings

settings = load_settings()
logs.configure(settings.log_level)
app = create_app(settings)
