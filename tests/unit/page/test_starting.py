"""What is named at the start, where the page listens, and what it does not wait for."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.listening import listen_on_port, listen_on_socket
from pconv_hpc.page.named import name_all


def test_nothing_slow_is_imported_before_the_page_listens() -> None:
    program = (
        "import sys, pconv_hpc.commands.page, pconv_hpc.page.serving\n"
        "slow = {'numpy', 'PIL', 'cv2', 'torch', 'tensorflow', 'keras', 'h5py'}\n"
        "print(', '.join(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_photos_get_ids_that_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    named = name_all([tmp_path, tmp_path / "a.png"])
    folder, photo = named.things.values()
    assert (folder.kind, photo.kind) == ("photos", "photo")
    first = named.give(folder, "a.png")
    assert first is named.give(photo, "a.png")
    assert named.photo(first.id) is first
    assert named.photo("a.png") is None
    assert named.thing(folder.id) is folder
    with pytest.raises(UsageError, match="gone: no such file or folder"):
        name_all([tmp_path / "gone"])


def test_a_port_is_taken_once() -> None:
    listener = listen_on_port("127.0.0.1", 0)
    try:
        assert listener.name == str(listener.port)
        assert listener.url("x") == f"http://localhost:{listener.port}/?token=x"
        with pytest.raises(UsageError, match="cannot listen there"):
            listen_on_port("127.0.0.1", listener.port)
    finally:
        listener.close()
    with pytest.raises(UsageError, match="65536: no port"):
        listen_on_port("127.0.0.1", 1 << 16)


def test_a_socket_in_use_is_not_taken_over(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "page.sock"
    listener = listen_on_socket(path)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        with pytest.raises(UsageError, match="Address already in use"):
            listen_on_socket(path)
    finally:
        listener.close()
    with pytest.raises(UsageError, match="too long for the name of a socket"):
        listen_on_socket(tmp_path / ("x" * 100))
