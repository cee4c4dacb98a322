"""What commands share: the services, and who is at the terminal."""

import getpass
import os

from cli.settings import settings_or_exit
from cli.tables import print_table
from mailroom.assembly.api import ApiServices, build_api_services
from mailroom.assembly.database import prepare_database

__all__ = ["actor", "prepared_services", "print_table", "services", "settings_or_exit"]


def services() -> ApiServices:
    """What the commands work with, by the settings; or every fault of them, and exit 2."""
    return build_api_services(settings_or_exit(), app="cli")


def prepared_services() -> ApiServices:
    """As `services`, for commands that create: the database may be new, and have no index yet. Raises Unavailable."""
    made = services()
    prepare_database(made.settings)
    return made


def actor() -> str:
    """Who is at the terminal, for audit trails."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"cli:{os.getuid()}"
