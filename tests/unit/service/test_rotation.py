from pathlib import Path

from service.rotation import rotate


def test_a_full_log_is_set_aside_and_goes_on_empty(tmp_path: Path) -> None:
    log = tmp_path / "listen.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 100)
        assert rotate(tmp_path, limit_bytes=50) == (log,)
        writer.write(b"b")  # the process goes on with the file it has
    assert log.read_bytes() == b"b"
    assert (tmp_path / "listen.log.1").read_bytes() == b"a" * 100


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for letter in "abcd":
        log.write_text(letter * 60)
        rotate(tmp_path, limit_bytes=50, kept=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web.log", "web.log.1", "web.log.2"]
    assert (tmp_path / "web.log.1").read_text()[0] == "d"
    assert (tmp_path / "web.log.2").read_text()[0] == "c"


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text("short")
    assert rotate(tmp_path, limit_bytes=50) == ()
    assert [path.name for path in tmp_path.iterdir()] == ["web.log"]
