"""Programs that ask much of the recorder: many threads, no descriptors, libraries that are gone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sim.workload.recording.recorder import RecorderError, record
from sim.workload.spestream import read_spestream
from tests.needs import need

CC = "aarch64-linux-gnu-gcc"
SYSROOT = Path("/usr/aarch64-linux-gnu")


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """Without the tools these tests fail in CI and are skipped elsewhere."""
    need(CC, "qemu-aarch64", "gcc")


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, and no libraries but those of --sysroot."""
    monkeypatch.setenv("SPESKEW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("QEMU_LD_PREFIX", str(tmp_path / "nowhere"))


def build(folder: Path, source: str, *options: str, name: str = "program") -> str:
    """A compiled program or library."""
    (folder / f"{name}.c").write_text(source)
    out = folder / name
    subprocess.run([CC, "-O1", "-o", out, folder / f"{name}.c", *options], check=True)
    return str(out)


ONE_AFTER_ANOTHER = """
#include <pthread.h>
static void *work(void *n) {
    for (volatile long i = 0; i < 100 * (long)n; i++);
    return 0;
}
int main(void) {
    for (long n = 1; n <= 100; n++) {
        pthread_t thread;
        pthread_create(&thread, 0, work, (void *)n);
        pthread_join(thread, 0);
    }
    return 0;
}
"""


def test_a_hundred_threads_one_after_another(tmp_path: Path) -> None:
    """Only living threads are limited: each of a hundred has its stream, and its own work in it."""
    program = build(tmp_path, ONE_AFTER_ANOTHER, "-static", "-pthread")
    done = record([program], tmp_path / "t.spestream")
    assert done.exit_status == 0
    assert len(done) == 101
    ops = [read_spestream(path).ops for path in done]
    assert np.all(np.diff(ops[1:]) > 300)
    assert sum(ops) == done.ops


CLOSES_ALL = """
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    volatile long sum = 0;
    for (int fd = 0; fd < 1024; fd++) close(fd);
    for (int n = 0; n < 64; n++) open(argv[1], O_RDWR | O_CREAT, 0600);
    for (long i = 0; i < 3000000; i++) sum += i;
    return sum == 0;
}
"""


def test_a_program_that_closes_all_descriptors(tmp_path: Path) -> None:
    """It is recorded to its end, beyond one window, and none of its own files is written to."""
    program = build(tmp_path, CLOSES_ALL, "-static")
    mine = tmp_path / "mine"
    done = record([program, str(mine)], tmp_path / "t.spestream")
    assert done.exit_status == 0
    assert read_spestream(done[0]).ops > 12_000_000
    assert mine.stat().st_size == 0


HOLDS_ALL = """
#include <fcntl.h>
#include <sys/resource.h>
int main(void) {
    struct rlimit few = {64, 4096};
    volatile long sum = 0;
    setrlimit(RLIMIT_NOFILE, &few);
    while (open("/dev/null", O_RDONLY) >= 0);
    for (long i = 0; i < 3000000; i++) sum += i;
    return sum == 0;
}
"""


def test_a_program_that_holds_all_descriptors(tmp_path: Path) -> None:
    """The recorder is lent one more than the program may have."""
    program = build(tmp_path, HOLDS_ALL, "-static")
    done = record([program], tmp_path / "t.spestream")
    assert done.exit_status == 0
    assert read_spestream(done[0]).ops > 12_000_000


def test_a_missing_loader_is_named(tmp_path: Path) -> None:
    """A dynamic program without --sysroot: which loader, which package, which option."""
    program = build(tmp_path, "int main(void) { return 0; }")
    out = tmp_path / "t.spestream"
    for sysroot in (None, tmp_path):
        with pytest.raises(RecorderError) as error:
            record([program], out, sysroot=sysroot)
        for words in (
            "/lib/ld-linux-aarch64.so.1",
            "apt-get install libc6-arm64-cross",
            "--sysroot /usr/aarch64-linux-gnu",
        ):
            assert words in str(error.value)
    assert record([program], out, sysroot=SYSROOT).exit_status == 0


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    """The loader is there, a library is not: which one, and nothing is left behind."""
    build(tmp_path, "int own(void) { return 0; }", "-shared", "-fPIC", name="libown.so")
    options = (f"-L{tmp_path}", "-l:libown.so")
    program = build(tmp_path, "int own(void); int main(void) { return own(); }", *options)
    out = tmp_path / "t.spestream"
    with pytest.raises(RecorderError, match=r"did not find libown\.so; give --sysroot FOLDER"):
        record([program], out, sysroot=SYSROOT)
    assert not out.exists()
    root = tmp_path / "root"
    shutil.copytree(SYSROOT / "lib", root / "lib", symlinks=True)
    shutil.copy(tmp_path / "libown.so", root / "lib")
    assert record([program], out, sysroot=root).exit_status == 0
    (root / "lib/libc.so.6").unlink()
    with pytest.raises(RecorderError, match=r"libc6-arm64-cross"):
        record([program], out, sysroot=root)
