"""Which paths lie on file systems that other machines write to."""

from pathlib import Path

import pytest

from orchestrator.machine.mounts import network_type

TABLE = r"""
/dev/sda1 / ext4 rw,relatime 0 0
server:/data /mnt nfs4 rw 0 0
/dev/sdb1 /mnt/local\040disk xfs rw 0 0
me@host:/x /home/me/far fuse.sshfs rw 0 0
/dev/sdc1 /win fuseblk rw 0 0
//server/share /share cifs rw 0 0
tmpfs /share tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", ""),
        ("/mnt", "nfs4"),
        ("/mnt/a/b", "nfs4"),
        ("/mnt2", ""),
        ("/mnt/local disk/a", ""),
        ("/home/me/far/away", "fuse.sshfs"),
        ("/win/a", ""),
        ("/share/a", ""),
    ],
)
def test_the_innermost_and_last_mount_says(tmp_path: Path, path: str, kind: str) -> None:
    table = tmp_path / "mounts"
    table.write_text(TABLE.lstrip(), encoding="utf-8")
    assert network_type(Path(path), table) == kind


def test_where_there_is_no_table_nothing_is_known(tmp_path: Path) -> None:
    assert network_type(tmp_path, tmp_path / "none") == ""
    assert network_type(tmp_path) == ""
