#!/usr/bin/env python3
"""Django's door."""

import os
import sys


def main() -> None:
    """Run a management command. Without Django installed, say which command installs it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "callcenter.settings.dev")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed in this Python. Run `make setup`, then use .venv/bin/python manage.py.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
