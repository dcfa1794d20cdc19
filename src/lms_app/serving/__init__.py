"""Everything between gunicorn and the app: gunicorn's configuration and worker, and what monitoring asks for.

`gunicorn -c gunicorn.conf.py` serves `lms_app.app:create_app()`, which the configuration names.
"""
