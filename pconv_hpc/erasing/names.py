"""Names of photos as text that can be shown anywhere."""


def printable(text: str) -> str:
    """Return text with what is no Unicode, in names from odd file systems, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
