"""The front door of a checkout: ``python cli.py …`` is ``watoto …``."""

from watoto_infra.cli.app import main

if __name__ == "__main__":
    main()
