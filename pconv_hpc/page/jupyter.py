"""The page for jupyter-server-proxy, which starts it, logs people in, and shows it in a tab."""

import secrets
import sys
from pathlib import Path
from typing import Any

NAME = "pconv"


def setup_page() -> dict[str, Any]:
    """Return what jupyter-server-proxy needs to know.

    The page listens on a socket file that only the user can reach, and its name is the proxy's, so
    any is taken. The token is in the environment and in the address that JupyterLab opens.
    """
    token = secrets.token_urlsafe(32)
    program = [sys.executable, "-P", "-m", "pconv_hpc.commands.page"]
    return {
        "command": [*program, "--socket", "{unix_socket}", "--allow-host", "*", "--out", "erased"],
        "environment": {"PCONV_PAGE_TOKEN": token},
        "unix_socket": True,
        "timeout": 60,
        "new_browser_tab": True,
        "launcher_entry": {
            "title": "Erase objects",
            "icon_path": str(Path(__file__).parent / "static" / "icon.svg"),
            "path_info": f"{NAME}/?token={token}",
        },
    }
