"""Between gunicorn and the app: gunicorn's configuration and worker, and the addresses that monitoring asks.

`gunicorn -c gunicorn.conf.py` serves `lms_app.app:create_app()`, which the configuration names.
"""
