"""What gunicorn serves: `lms_app.wsgi:app`."""

from lms_app.app import create_app
from lms_app.settings import load_settings

app = create_app(load_settings())
